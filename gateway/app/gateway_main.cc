#include "gateway/app/gateway_main.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "gateway/app/commands.h"
#include "gateway/app/keys.h"
#include "gateway/app/peers.h"
#include "gateway/app/run_command.h"
#include "gateway/config/flags.h"
#include "gateway/config/log.h"
#include "gateway/config/values.h"
#include "lib/cli/completion.h"
#include "lib/cli/standard_streams.h"
#include "lib/crypto/random.h"

namespace lp::gateway::app {
namespace {

/// What completions offer as values.
cli::Hints completion_hints() {
  return {{"--format", {.words = {"text", "json"}}},
          {"--log-format", {.words = {"auto", "text", "json", "journal"}}},
          {"--log-level", {.words = {"trace", "debug", "info", "warning", "error", "off"}}},
          {"--wireguard-backend", {.words = {"memory", "netlink", "uapi"}}},
          {"--wireguard-preshared-key", {.words = {"none", "identity"}}}};
}

class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(0, 1);
    app_.set_version_flag("--version", "lp-gateway " LP_VERSION, "Print the version and exit");
    for (CLI::App* command :
         {&app_, init_, run_, identity_, check_config_, status_, peers_, peers_list_, peers_show_,
          peers_remove_, keys_, keys_list_, keys_accept_}) {
      command->set_help_flag("-h,--help", "Print this help and exit");
    }
    app_.footer("Settings are described in lp-gateway.toml(5), exit codes in lp-gateway(8).");
    for (CLI::App* command : {run_, check_config_, init_})
      flags_.add_to(*command);
    for (CLI::App* command :
         {identity_, status_, peers_list_, peers_show_, peers_remove_, keys_list_, keys_accept_})
      flags_.add_to(*command, true);
    for (CLI::App* command :
         {identity_, status_, peers_list_, peers_show_, peers_remove_, keys_list_})
      command->add_flag("--json", json_, "Answer in JSON");
    keys_->require_subcommand(0, 1);
    keys_accept_
        ->add_option("KEY", keys_to_accept_,
                     "An offered key: its base64 as keys list shows it, or the first 16 characters "
                     "of that or more")
        ->required();
    add_peers_options();
    for (CLI::App* command : {run_, check_config_, identity_, status_, peers_list_, peers_show_,
                              peers_remove_, keys_list_, keys_accept_}) {
      command->add_option("--config", config_file_, "Read this file, not DATA_DIR/lp-gateway.toml")
          ->type_name("FILE");
    }
    ephemeral_flag_ = run_->add_flag(
        "--ephemeral", ephemeral_,
        "A test gateway: temporary keys and data, mock e-cash, memory WireGuard, free ports of "
        "loopback; everything is removed at exit");
    ephemeral_flag_->excludes(run_->get_option("--config"));
    ephemeral_flag_->excludes(run_->get_option("--data-dir"));
  }

  /// The exit code where parsing is the end of it.
  std::optional<int> parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& done) {  // --help, --version
      const bool printed = app_.exit(done) == 0 && cli::standard_output_arrived();
      return static_cast<int>(printed ? ExitCode::ok : ExitCode::cannot_create);
    } catch (const CLI::ExtrasError& error) {
      return usage(unknown_argument(error.what()));
    } catch (const CLI::ParseError& error) {
      return usage(error.what());
    }
    if (completion_.parsed()) return completion_.print(completion_hints());
    if (app_.get_subcommands().empty()) {
      return usage(
          "a command is missing: init, run, identity, check-config, status, peers or keys");
    }
    if (peers_->parsed() && peers_->get_subcommands().empty()) {
      return usage("a command is missing: peers list, peers show or peers remove");
    }
    if (keys_->parsed() && keys_->get_subcommands().empty()) {
      return usage("a command is missing: keys list or keys accept");
    }
    return std::nullopt;
  }

  Outcome execute(const Overrides& overrides) {
    SettingsSource source{.flags = flags_.layer(), .config_file = std::nullopt};
    if (!config_file_.empty()) source.config_file = config_file_;
    if (init_->parsed()) return init(source.flags);
    if (identity_->parsed()) return print_identity(source, json_);
    if (check_config_->parsed()) return check_config(source);
    if (status_->parsed()) return print_status(source, json_);
    const bool json = json_ || format_ == "json";
    if (peers_list_->parsed()) return list_peers(source, json, limit_);
    if (peers_show_->parsed()) return show_peer(source, json, peer_);
    if (peers_remove_->parsed()) return remove_peer(source, json, peer_);
    if (keys_list_->parsed()) return list_keys(source, json_);
    if (keys_accept_->parsed()) return accept_keys(source, keys_to_accept_);
    return run(std::move(source), ephemeral_, overrides);
  }

 private:
  void add_peers_options() {
    peers_->require_subcommand(0, 1);
    for (CLI::App* command : {peers_list_, peers_show_, peers_remove_}) {
      command->add_option("--format", format_, "text or json; --json is the same as the latter")
          ->check(CLI::IsMember({"text", "json"}))
          ->type_name("FORMAT");
    }
    for (CLI::App* command : {peers_show_, peers_remove_})
      command->add_option("KEY", peer_, "The peer's WireGuard public key, base64")->required();
    peers_list_->add_option("--limit", limit_, "At most so many, the oldest first; 0 is all")
        ->type_name("COUNT")
        ->capture_default_str();
  }

  int usage(std::string_view sentence) const {
    const auto commands = app_.get_subcommands();
    const std::string command = commands.empty() ? "" : " " + commands.front()->get_name();
    std::fprintf(stderr, "lp-gateway: %s\nTry lp-gateway%s --help\n", std::string(sentence).c_str(),
                 command.c_str());
    return static_cast<int>(ExitCode::usage);
  }

  /// Names the first argument that nothing took, and what was probably meant.
  std::string unknown_argument(std::string_view otherwise) const {
    const auto left = app_.remaining(true);
    if (left.empty()) return std::string(otherwise);
    const std::string name = left.front().substr(0, left.front().find('='));
    if (!name.starts_with("--")) return fmt::format("unexpected argument \"{}\"", left.front());
    std::string key = name.substr(2);
    std::replace(key.begin(), key.end(), '-', '_');
    const std::string_view nearest = config::nearest_key(key);
    if (nearest == key) return fmt::format("{} is a setting of run, and no flag here", name);
    return fmt::format(
        "unknown flag {}{}", name,
        nearest.empty() ? std::string()
                        : fmt::format("; did you mean {}?", config::find_setting(nearest)->flag()));
  }

  CLI::App app_{"Accepts LP registrations and hands them to WireGuard.", "lp-gateway"};
  CLI::App* init_ = app_.add_subcommand("init", "Make keys and a commented lp-gateway.toml");
  CLI::App* run_ = app_.add_subcommand("run", "Serve");
  CLI::App* identity_ = app_.add_subcommand("identity", "Print the gateway's identity");
  CLI::App* check_config_ =
      app_.add_subcommand("check-config", "Check the settings and print them with their origin");
  CLI::App* status_ = app_.add_subcommand("status", "Ask the running gateway how it is");
  CLI::App* peers_ = app_.add_subcommand("peers", "WireGuard clients of the running gateway");
  CLI::App* peers_list_ =
      peers_->add_subcommand("list", "Show all, with their addresses and bandwidth");
  CLI::App* peers_show_ =
      peers_->add_subcommand("show", "Show one, with what WireGuard says of it");
  CLI::App* peers_remove_ = peers_->add_subcommand(
      "remove", "Remove one with its addresses and bandwidth; its tickets stay spent");
  CLI::App* keys_ = app_.add_subcommand("keys", "Verification keys of the e-cash authority");
  CLI::App* keys_list_ = keys_->add_subcommand("list", "Show the keys that the gateway knows");
  CLI::App* keys_accept_ =
      keys_->add_subcommand("accept", "Trust a key that contradicts what was known");
  cli::CompletionCommand completion_{app_};
  CLI::Option* ephemeral_flag_ = nullptr;
  config::SettingFlags flags_;
  std::string config_file_;
  std::vector<std::string> keys_to_accept_;
  std::string peer_;
  std::string format_ = "text";
  std::uint32_t limit_ = 0;
  bool ephemeral_ = false;
  bool json_ = false;
};

int report(const Outcome& outcome) {
  if (outcome) return 0;
  log::flush();
  std::fprintf(stderr, "lp-gateway: %s\n", outcome.error().sentence.c_str());
  return static_cast<int>(outcome.error().code);
}

}  // namespace

int gateway_main(int argc, char** argv, const Overrides& overrides) {
  cli::open_standard_streams();  // the ready line would go into a database
  // Libraries throw where memory or the system fails; nothing off the network gets here.
  try {
    if (!crypto::initialise()) {
      return report(std::unexpected(
          Refusal{ExitCode::internal, "no randomness: libsodium cannot be started"}));
    }
    CommandLine command_line;
    if (const auto code = command_line.parse(argc, argv)) return *code;
    return report(command_line.execute(overrides));
  } catch (const std::exception& error) {
    return report(std::unexpected(Refusal{ExitCode::internal, error.what()}));
  }
}

}  // namespace lp::gateway::app
