#include "tools/issuer/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <vector>

#include "lib/base/exit_code.h"
#include "lib/cli/commands.h"
#include "lib/cli/completion.h"
#include "lib/cli/standard_streams.h"
#include "lib/ecash/contract_address.h"
#include "tools/issuer/values.h"

namespace lp::issuer {
namespace {

constexpr std::int64_t ephemeral_allowance = 1'000'000;

class CommandLine {
 public:
  CommandLine() {
    // One is needed. CLI11 would say so without naming a word that is none, so finish() does.
    for (CLI::App* with_commands : {&app_, token_, keys_})
      with_commands->require_subcommand(0, 1);
    app_.set_version_flag("--version", "lp-issuer " LP_VERSION, "Print the version and exit");
    app_.footer(
        "lp-issuer(8) has the details. Every flag of run, and --data-dir, can also be set "
        "in the\nenvironment: --http-port as LP_ISSUER_HTTP_PORT.");
    for (CLI::App* command : all_commands())
      command->set_help_flag("-h,--help", "Print this help and exit");
    for (CLI::App* command :
         {init_, run_, token_add_, token_list_, token_revoke_, keys_, keys_rotate_})
      add_data_dir(*command);
    for (CLI::App* command : {init_, run_})
      add_authority(*command);
    add_run();
    add_token();
    keys_->add_flag("--json", options_.json, "Answer in JSON");
  }

  std::expected<Options, ParseEnd> parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& done) {  // --help, --version
      const bool printed = app_.exit(done) == 0 && cli::standard_output_arrived();
      return std::unexpected(ParseEnd{printed ? 0 : static_cast<int>(ExitCode::cannot_create)});
    } catch (const CLI::ExtrasError& error) {
      return usage(cli::unknown_argument(app_, error.what()));
    } catch (const CLI::ParseError& error) {
      return usage(error.what());
    }
    if (completion_.parsed()) return print_completion();
    if (auto sense = finish(); !sense) return usage(sense.error());
    return options_;
  }

 private:
  [[nodiscard]] std::unexpected<ParseEnd> print_completion() const {
    return std::unexpected(ParseEnd{completion_.print(
        {{"--log-level", {.words = {"trace", "debug", "info", "warning", "error", "off"}}},
         {"--log-format", {.words = {"auto", "text", "json", "journal"}}}})});
  }

  std::vector<CLI::App*> all_commands() {
    return {&app_,       init_,         run_,  token_,      token_add_,
            token_list_, token_revoke_, keys_, keys_rotate_};
  }

  void add_data_dir(CLI::App& command) {
    // The environment is the default here. CLI11 would read it for the subcommands that are not
    // used, too, and they would overwrite what a flag of the one that is has said.
    if (const char* const set = std::getenv("LP_ISSUER_DATA_DIR"); set != nullptr && *set != 0) {
      options_.data_dir = set;
    }
    command.add_option("--data-dir", options_.data_dir, "Where the database is")
        ->type_name("DIR")
        ->capture_default_str();
  }

  void add_authority(CLI::App& command) {
    const std::string where = &command == run_ ? " (with --ephemeral)" : "";
    command.add_option("--contract", options_.contract, "Contract address, else a new one" + where)
        ->type_name("ADDRESS");
    add_duration(command, "--epoch-length", options_.epoch_length, 1, max_epoch_length,
                 "How long an epoch is [7d]" + where);
    add_duration(command, "--retention", options_.retention, 0, max_epoch_length,
                 "How long expired keys are kept [1d]" + where);
  }

  void add_duration(CLI::App& command, const std::string& flag, std::uint64_t& value,
                    std::uint64_t least, std::uint64_t most, const std::string& help) {
    command
        .add_option_function<std::string>(
            flag,
            [flag, &value, least, most](const std::string& text) {
              const auto parsed = parse_duration(text, least, most);
              if (!parsed) throw CLI::ValidationError(flag, parsed.error());
              value = *parsed;
            },
            help)
        ->type_name("TIME");
  }

  void add_run() {
    run_->add_flag(
        "--ephemeral", options_.ephemeral,
        "A test issuer: temporary data, a free port of loopback, and a token that the ready line\n"
        "tells; everything is removed at exit");
    run_->add_option("--http-address", options_.http_address, "Address to serve on")
        ->type_name("IP")
        ->envname("LP_ISSUER_HTTP_ADDRESS")
        ->capture_default_str();
    port_ =
        run_->add_option("--http-port", options_.http_port, "Port to serve on, 0 for a free one")
            ->type_name("PORT")
            ->envname("LP_ISSUER_HTTP_PORT")
            ->capture_default_str();
    run_->add_option("--tls-cert", options_.tls_cert, "Certificate chain, PEM: serve over TLS")
        ->type_name("FILE")
        ->envname("LP_ISSUER_TLS_CERT");
    run_->add_option("--tls-key", options_.tls_key, "Its key, PEM")
        ->type_name("FILE")
        ->envname("LP_ISSUER_TLS_KEY");
    run_->add_option("--log-level", log_level_, "trace, debug, info, warning, error or off [info]")
        ->type_name("LEVEL")
        ->envname("LP_ISSUER_LOG_LEVEL");
    run_->add_option("--log-format", log_format_, "auto, text, json or journal [auto]")
        ->type_name("FORMAT")
        ->envname("LP_ISSUER_LOG_FORMAT");
  }

  void add_token() {
    token_add_->add_option("--label", options_.label, "What the token is called in lists")
        ->type_name("TEXT");
    token_list_->add_flag("--json", options_.json, "Answer in JSON");
    token_revoke_->add_option("id", options_.token, "As token list shows it")
        ->type_name("ID")
        ->required();
    for (CLI::App* command : {token_add_, run_}) {
      const std::string where = command == run_ ? " (with --ephemeral)" : "";
      command->add_option("--tickets", tickets_, "Tickets it may have in total" + where)
          ->type_name("NUMBER");
      command
          ->add_option("--tickets-for", tickets_for_,
                       "Tickets of one type; types not named get none" + where)
          ->type_name("TYPE=NUMBER")
          ->take_all();
    }
  }

  /// What the flags mean together.
  std::expected<void, std::string> finish() {
    if (const CLI::App& last = cli::last_command(app_); &last == &app_ || &last == token_) {
      return std::unexpected(fmt::format("a command is missing: {}", cli::commands_of(last)));
    }
    options_.command = command();
    if (!options_.contract.empty() && !ecash::is_contract_address(options_.contract)) {
      return std::unexpected(fmt::format("--contract must be {}", ecash::contract_address_rule));
    }
    if (!is_label(options_.label)) {
      return std::unexpected("--label must be at most 64 bytes without control characters");
    }
    if (auto log = finish_log(); !log) return log;
    if (auto allowances = finish_allowances(); !allowances) return allowances;
    if (options_.tls_cert.empty() != options_.tls_key.empty()) {
      return std::unexpected("--tls-cert and --tls-key go together");
    }
    return options_.command == Command::run ? finish_run() : std::expected<void, std::string>{};
  }

  std::expected<void, std::string> finish_log() {
    const auto level = log::parse_level(log_level_);
    if (!level) {
      return std::unexpected("--log-level must be trace, debug, info, warning, error or off");
    }
    const auto format = log::parse_format(log_format_);
    if (!format) return std::unexpected("--log-format must be auto, text, json or journal");
    options_.log_level = *level;
    options_.log_format = *format;
    return {};
  }

  std::expected<void, std::string> finish_allowances() {
    if (!tickets_.empty()) {
      const auto total = parse_allowance(tickets_);
      if (!total) return std::unexpected("--tickets " + total.error());
      options_.allowances.total = *total;
    }
    auto types = parse_type_allowances(tickets_for_);
    if (!types) return std::unexpected("--tickets-for " + types.error());
    options_.allowances.types = *std::move(types);
    const bool none = !options_.allowances.total && options_.allowances.types.empty();
    if (none && options_.command == Command::token_add) {
      return std::unexpected("--tickets or --tickets-for is needed: how many it may have");
    }
    if (none) options_.allowances.total = ephemeral_allowance;
    return {};
  }

  std::expected<void, std::string> finish_run() {
    if (options_.ephemeral) {
      if (run_->get_option("--data-dir")->count() > 0) {
        return std::unexpected("--ephemeral has a data directory of its own: no --data-dir");
      }
      if (port_->count() == 0) options_.http_port = 0;
      return {};
    }
    for (const char* flag :
         {"--contract", "--epoch-length", "--retention", "--tickets", "--tickets-for"}) {
      if (run_->get_option(flag)->count() > 0) {
        return std::unexpected(
            fmt::format("{} of an issuer is settled before it runs: only with --ephemeral", flag));
      }
    }
    return {};
  }

  [[nodiscard]] Command command() const {
    if (init_->parsed()) return Command::init;
    if (run_->parsed()) return Command::run;
    if (token_add_->parsed()) return Command::token_add;
    if (token_list_->parsed()) return Command::token_list;
    if (token_revoke_->parsed()) return Command::token_revoke;
    return keys_rotate_->parsed() ? Command::keys_rotate : Command::keys_list;
  }

  [[nodiscard]] std::unexpected<ParseEnd> usage(std::string_view sentence) const {
    return std::unexpected(ParseEnd{cli::wrong_usage(app_, sentence)});
  }

  Options options_;
  std::string log_level_ = "info";
  std::string log_format_ = "auto";
  std::string tickets_;
  std::vector<std::string> tickets_for_;

  CLI::App app_{
      "The e-cash authority of test networks: shows verification keys as a chain's "
      "contract would,\nand signs tickets blindly.",
      "lp-issuer"};
  CLI::App* init_ = app_.add_subcommand("init", "Make the database and the first keys");
  CLI::App* run_ = app_.add_subcommand("run", "Serve");
  CLI::App* token_ = app_.add_subcommand("token", "Who may withdraw, and how much");
  CLI::App* token_add_ = token_->add_subcommand("add", "Make a token and print it, this once");
  CLI::App* token_list_ = token_->add_subcommand("list", "Tokens and what they have used");
  CLI::App* token_revoke_ = token_->add_subcommand("revoke", "Sign no more for a token");
  CLI::App* keys_ = app_.add_subcommand("keys", "Epochs, their expiry and public keys");
  CLI::App* keys_rotate_ =
      keys_->add_subcommand("rotate", "Add an epoch after the newest, before it is due");
  cli::CompletionCommand completion_{app_};
  CLI::Option* port_ = nullptr;
};

}  // namespace

std::expected<Options, ParseEnd> parse_options(int argc, const char* const* argv) {
  return CommandLine().parse(argc, argv);
}

}  // namespace lp::issuer
