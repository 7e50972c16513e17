#include "probes/options/load.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <sstream>

#include "lib/cli/completion.h"
#include "probes/options/table.h"
#include "probes/options/target_file.h"
#include "probes/options/values.h"
#include "probes/wg_config.h"

namespace lp::probe::options {
namespace {

using Values = std::vector<std::string>;

Stop own_error(int exit_status, std::string text) {
  return {fmt::format("lp-probe: {}\n", text), false, exit_status};
}

Stop usage_error(std::string_view text) {
  return own_error(exit_status::usage, fmt::format("{} (see lp-probe --help)", text));
}

/// What the command line said, before any value is looked at.
struct CommandLine {
  std::map<std::string_view, Values> values;  ///< by option name
  Values targets;
  std::optional<std::string> decode;
  std::optional<WalletCommand> wallet;
  bool load = false;
};

constexpr const char* description =
    "Probes LP registration at gateways.\n"
    "A TARGET is [IDENTITY@]HOST[:PORT], IPv6 in brackets; without an identity the gateway is\n"
    "asked for it over HTTP.";

constexpr const char* footer =
    "Every option but those under Other is also a variable, LP_PROBE_ with upper case and\n"
    "underscores, and a key of the configuration file, with underscores. A flag wins over a\n"
    "variable, a variable over the file. A flag is turned off with --FLAG=false.\n"
    "\n"
    "Exit status: 0 all well, 1 a --warn limit passed, 2 a stage failed, 3 could not tell;\n"
    "64 usage, 66 unreadable input, 69 chain or issuer, 70 internal error, 73 file not written,\n"
    "77 permissions, 78 configuration.\n"
    "\n"
    "  lp-probe --use-mock-ecash IDENTITY@192.0.2.1\n"
    "  lp-probe --use-mock-ecash --gateway-ip 192.0.2.1 --count 10 --format json\n"
    "  lp-probe --only-wireguard --wg-config wg.conf\n"
    "  lp-probe wallet withdraw --gateway IDENTITY --count 5\n"
    "  lp-probe load --use-mock-ecash --rate 200 --duration 60s IDENTITY@192.0.2.1\n"
    "\n"
    "Details: lp-probe(1)";

std::string flag_names(const Option& option) {
  return option.letter == 0 ? fmt::format("--{}", option.name)
                            : fmt::format("-{},--{}", option.letter, option.name);
}

CLI::Option* add(CLI::App& app, const Option& option) {
  const std::string names = flag_names(option);
  const std::string help(option.help);
  if (option.type == Type::flag) {
    // Nothing is bound: CLI11 would convert the value itself, and throws what is no ParseError.
    return app.add_flag(names, help)->group(std::string(option.group));
  }
  // The values are read from results(); nothing is bound.
  auto* added = app.add_option(names, [](const CLI::results_t&) { return true; }, help);
  added->type_name(std::string(option.value_name))->group(std::string(option.group));
  if (option.type == Type::list) {
    added->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  } else {
    added->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  }
  return added;
}

/// What completions offer as values.
cli::Hints completion_hints() {
  cli::Hints hints{{"INPUT", {.files = true}},
                   {"--wg-preshared-key", {.words = {"none", "identity"}, .files = true}}};
  for (const auto& option : table()) {
    if (option.choices.empty()) continue;
    std::istringstream choices{std::string(option.choices)};
    auto& words = hints[fmt::format("--{}", option.name)].words;
    words.assign(std::istream_iterator<std::string>(choices), {});
  }
  return hints;
}

/// `wallet list|withdraw|export`, with the options that are theirs alone.
class WalletArguments {
 public:
  explicit WalletArguments(CLI::App& app)
      : wallet_(app.add_subcommand("wallet", "Show tickets, get new ones, take some out")) {
    // One is needed. CLI11 would say so without naming a word that is none, so result() does.
    wallet_->require_subcommand(0, 1)->fallthrough();
    list_ = wallet_->add_subcommand("list", "Show the tickets; with --gateway those for it");
    withdraw_ =
        wallet_->add_subcommand("withdraw", "Get --count tickets for a gateway from the issuer");
    export_ = wallet_->add_subcommand("export", "Take --count tickets for a gateway out, as JSON");
    for (auto* command : {list_, withdraw_, export_}) {
      command->fallthrough();
      command->add_option("--gateway", gateway_, "The gateway that the tickets are for")
          ->type_name("IDENTITY")
          ->required(command == withdraw_);
    }
    export_->add_option("--ticket", ticket_, "One ticket, by its number; again, if need be")
        ->type_name("ID");
  }

  /// Once the command line is parsed, with the words that are no command's; nothing where it is
  /// another command.
  [[nodiscard]] std::expected<std::optional<WalletCommand>, Stop> result(
      const Values& words) const {
    if (!wallet_->parsed()) return std::nullopt;
    if (wallet_->get_subcommands().empty()) {
      const std::string what =
          words.empty() ? "a command is missing"
                        : fmt::format("there is no command '{}'", printable(words.front(), 60));
      return std::unexpected(usage_error("wallet: " + what + "; it has list, withdraw and export"));
    }
    WalletCommand command;
    command.kind = list_->parsed()       ? WalletCommand::Kind::list
                   : withdraw_->parsed() ? WalletCommand::Kind::withdraw
                                         : WalletCommand::Kind::export_tickets;
    if (!gateway_.empty()) {
      const auto identity = parse_identity(gateway_);
      if (!identity) return std::unexpected(usage_error("--gateway: " + identity.error()));
      command.gateway = *identity;
    }
    if (!ticket_.empty()) {
      const auto id = parse_number(ticket_, 1, std::numeric_limits<std::int64_t>::max());
      if (!id) return std::unexpected(usage_error("--ticket: " + id.error()));
      command.ticket = static_cast<std::int64_t>(*id);
    }
    if (export_->parsed() && command.gateway.has_value() == command.ticket.has_value()) {
      return std::unexpected(usage_error("wallet export takes --gateway or --ticket"));
    }
    return command;
  }

 private:
  CLI::App* wallet_;
  CLI::App* list_ = nullptr;
  CLI::App* withdraw_ = nullptr;
  CLI::App* export_ = nullptr;
  std::string gateway_;
  std::string ticket_;
};

std::expected<CommandLine, Stop> parse_command_line(const Values& args) {
  CLI::App app(description, "lp-probe");
  app.footer(footer);
  app.set_help_flag();  // added below, so that its group comes last
  std::vector<std::pair<const Option*, CLI::Option*>> added;
  for (const auto& option : table())
    added.emplace_back(&option, add(app, option));
  app.set_help_flag("-h,--help", "Print this help and exit")->group("Other");
  CommandLine line;
  app.add_option("TARGET", line.targets, "What to probe: [IDENTITY@]HOST[:PORT]")->type_name("");
  auto* decode = app.add_subcommand("decode", "Decode LP frames: a file, - or hexadecimal");
  std::string input;
  decode->add_option("INPUT", input, "FILE, - for standard input, or hexadecimal")
      ->required()
      ->type_name("");
  decode->fallthrough();
  WalletArguments wallet(app);
  auto* load = app.add_subcommand("load", "Put load on a gateway of your own and measure it");
  load->fallthrough();
  const cli::CompletionCommand completion(app);
  try {
    // CLI11 takes the arguments from the back.
    app.parse(Values(args.rbegin(), args.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      std::ostringstream out;
      std::ostringstream err;
      app.exit(error, out, err);
      return std::unexpected(Stop{out.str(), true, exit_status::ok});
    }
    return std::unexpected(usage_error(printable(error.what(), 400)));
  } catch (const std::exception& error) {
    return std::unexpected(usage_error(printable(error.what(), 400)));
  }
  if (completion.parsed()) {
    return std::unexpected(Stop{completion.script(completion_hints()), true, exit_status::ok});
  }
  for (const auto& [option, result] : added) {
    if (result->count() > 0) line.values[option->name] = result->results();
  }
  if (decode->parsed()) line.decode = input;
  line.load = load->parsed();
  auto wallet_command = wallet.result(line.targets);
  if (!wallet_command) return std::unexpected(std::move(wallet_command.error()));
  line.wallet = *wallet_command;
  return line;
}

/// Keys of the file with their values; by option name.
using FileValues = std::map<std::string_view, Values>;

std::expected<FileValues, Stop> parse_file(std::istream& file, const std::string& path) {
  const auto bad = [&](std::string_view what) {
    return std::unexpected(
        own_error(exit_status::config, fmt::format("{}: {}", printable(path), what)));
  };
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_config(file);
  } catch (const std::exception& error) {
    return bad(printable(error.what()));
  }
  FileValues values;
  for (const auto& item : items) {
    if (!item.parents.empty()) {
      return bad(
          fmt::format("there are no sections, and no key '{}'", printable(item.fullname(), 60)));
    }
    const auto option = std::ranges::find_if(table(), [&](const Option& candidate) {
      return !candidate.command_line_only && file_key(candidate) == item.name;
    });
    if (option == table().end()) {
      return bad(fmt::format("unknown key '{}'", printable(item.name, 60)));
    }
    if (option->type != Type::list && (values.contains(option->name) || item.inputs.size() != 1)) {
      return bad(fmt::format("'{}' takes one value", item.name));
    }
    // The parser ends a line at '#' even within quotes; what is left of the value is not meant.
    for (const auto& input : item.inputs) {
      if (input.find('"') != std::string::npos) {
        return bad(fmt::format("'{}': quotes do not close, or hold a # or a quote", item.name));
      }
    }
    values[option->name] = item.inputs;
  }
  return values;
}

std::expected<FileValues, Stop> read_file(const CommandLine& line, const Environment& environment) {
  std::string path;
  const auto given = line.values.find("config");
  if (given != line.values.end()) {
    path = given->second.back();
  } else {
    const auto config_home = environment("XDG_CONFIG_HOME");
    const auto home = environment("HOME");
    if (config_home && !config_home->empty()) {
      path = *config_home + "/lp-probe.toml";
    } else if (home && !home->empty()) {
      path = *home + "/.config/lp-probe.toml";
    }
  }
  if (path.empty()) return FileValues{};
  errno = 0;
  std::ifstream file(path);
  const int error = errno;
  // A default file that is not there is no file; one that is there and cannot be read is an error.
  if (!file) {
    if (given == line.values.end() && (error == ENOENT || error == ENOTDIR)) return FileValues{};
    return std::unexpected(own_error(
        exit_status::no_input, fmt::format("{}: {}", printable(path), client::errno_text(error))));
  }
  // A directory opens but does not read.
  file.peek();
  if (file.bad()) {
    return std::unexpected(
        own_error(exit_status::no_input, fmt::format("{}: cannot be read", printable(path))));
  }
  file.clear();
  return parse_file(file, path);
}

/// Empty where nobody says where that would be.
std::string default_wallet(const Environment& environment) {
  const auto data_home = environment("XDG_DATA_HOME");
  const auto home = environment("HOME");
  if (data_home && !data_home->empty()) return *data_home + "/lp-probe/wallet.sqlite";
  if (home && !home->empty()) return *home + "/.local/share/lp-probe/wallet.sqlite";
  return {};
}

Values split_list(const std::string& text) {
  Values values;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');)
    values.push_back(part);
  return values;
}

std::expected<void, Stop> apply(const Option& option, const CommandLine& line,
                                const Environment& environment, const FileValues& file,
                                Settings& settings) {
  std::string origin;
  Values values;
  int status = exit_status::config;
  if (const auto flag = line.values.find(option.name); flag != line.values.end()) {
    values = flag->second;
    origin = fmt::format("--{}", option.name);
    status = exit_status::usage;
  } else if (option.command_line_only) {
    return {};
  } else if (const auto variable = environment(environment_name(option))) {
    values = option.type == Type::list ? split_list(*variable) : Values{*variable};
    origin = environment_name(option);
  } else if (const auto key = file.find(option.name); key != file.end()) {
    values = key->second;
    origin = fmt::format("{} in the configuration file", file_key(option));
  }
  if (values.empty()) return {};
  if (auto set = option.set(settings, values); !set) {
    return std::unexpected(own_error(status, fmt::format("{}: {}", origin, set.error())));
  }
  return {};
}

/// Those of --targets.
std::expected<void, Stop> add_targets_of_file(Settings& settings) {
  const bool wanted = !settings.targets_file.empty() && !settings.version &&
                      !settings.list_error_codes && !settings.decode && !settings.wallet_command;
  if (!wanted) return {};
  auto read = read_targets(settings.targets_file);
  if (!read) return std::unexpected(own_error(exit_status::no_input, "--targets: " + read.error()));
  if (read->targets.empty() && read->bad.empty()) {
    return std::unexpected(own_error(
        exit_status::no_input,
        fmt::format("--targets: {}: there is no TARGET in it", printable(settings.targets_file))));
  }
  std::ranges::move(read->targets, std::back_inserter(settings.targets));
  settings.bad_targets = std::move(read->bad);
  return {};
}

std::expected<void, Stop> add_targets(const CommandLine& line, Settings& settings) {
  for (const auto& text : line.targets) {
    auto target = parse_target(text);
    if (!target) return std::unexpected(usage_error(target.error()));
    settings.targets.push_back(std::move(*target));
  }
  if (auto added = add_targets_of_file(settings); !added) return added;
  if (settings.lp_address) {
    const auto& [host, port] = *settings.lp_address;
    settings.targets.push_back({host, std::nullopt, host, port});
  }
  if (settings.identity && settings.entry_gateway &&
      *settings.identity != *settings.entry_gateway) {
    return std::unexpected(usage_error("--identity and --entry-gateway name two gateways"));
  }
  if (settings.gateway_ip) {
    if (!settings.targets.empty()) {
      return std::unexpected(usage_error("--gateway-ip stands in place of a TARGET"));
    }
    if (!settings.entry_gateway) settings.entry_gateway = settings.identity;
    return {};
  }
  const auto given = settings.identity ? settings.identity : settings.entry_gateway;
  const auto bare = std::ranges::count_if(settings.targets,
                                          [](const Target& target) { return !target.identity; });
  if (given && bare > 1) {
    return std::unexpected(usage_error("one identity and several targets without one"));
  }
  if (given && bare == 0 && !settings.targets.empty()) {
    const bool agrees = std::ranges::any_of(
        settings.targets, [&](const Target& target) { return target.identity == given; });
    if (!agrees) return std::unexpected(usage_error("the TARGET names another identity"));
  }
  for (auto& target : settings.targets) {
    if (!target.identity) target.identity = given;
  }
  return {};
}

/// Who sits between can put in keys of its own, and read the token.
std::expected<void, Stop> check_tickets(const Settings& settings) {
  if (settings.use_mock_ecash && !settings.wallet_command) return {};
  const bool has_chain = settings.chain_url || !settings.ecash_contract.empty();
  const bool has_issuer = settings.issuer || !settings.issuer_token_file.empty();
  const bool complete = settings.chain_url && !settings.ecash_contract.empty() && settings.issuer &&
                        !settings.issuer_token_file.empty();
  if ((has_chain || has_issuer) && !complete) {
    return std::unexpected(usage_error(
        "--chain-url, --ecash-contract, --issuer and --issuer-token-file belong together"));
  }
  if (!complete || settings.allow_insecure_chain) return {};
  for (const auto& [name, url] :
       {std::pair{"--chain-url", &*settings.chain_url}, std::pair{"--issuer", &*settings.issuer}}) {
    if (url->tls || url->is_loopback()) continue;
    return std::unexpected(usage_error(
        fmt::format("{}: http to another machine can be read and changed on its way; use https, or "
                    "pass --allow-insecure-chain",
                    name)));
  }
  return {};
}

/// The preshared key, where it stands in a file.
std::expected<void, Stop> read_preshared_key(Settings& settings) {
  if (settings.wg_preshared_key != PresharedKeySource::file) return {};
  auto text = read_private_file(settings.wg_preshared_key_file);
  if (!text) {
    return std::unexpected(
        own_error(text.error().exposed ? exit_status::no_permission : exit_status::no_input,
                  "--wg-preshared-key: " + text.error().text));
  }
  const auto end = text->find_last_not_of(" \t\r\n");
  auto key = parse_wg_key(std::string_view(*text).substr(0, end + 1));
  wipe({reinterpret_cast<std::uint8_t*>(text->data()), text->size()});
  if (!key) {
    return std::unexpected(
        own_error(exit_status::no_input,
                  fmt::format("--wg-preshared-key: {}: {}",
                              printable(settings.wg_preshared_key_file), key.error())));
  }
  settings.preshared = std::make_shared<const Secret<32>>(std::move(*key));
  return {};
}

/// Of --only-wireguard and what it goes with.
std::expected<void, Stop> check_tunnel(const Settings& settings) {
  const auto refuse = [](std::string_view text) { return std::unexpected(usage_error(text)); };
  if (!settings.only_wireguard) return {};
  if (settings.only_lp_registration) {
    return refuse("--only-wireguard and --only-lp-registration exclude each other");
  }
  if (settings.mode != ModeName::dvpn) return refuse("--only-wireguard needs --mode dvpn");
  if (settings.wg_config.empty()) return {};
  if (!settings.targets.empty() || settings.gateway_ip) {
    return refuse("--only-wireguard with --wg-config takes no TARGET: the file names the endpoint");
  }
  if (settings.wg_preshared_key != PresharedKeySource::none) {
    return refuse("--only-wireguard takes the preshared key from the file of --wg-config");
  }
  return {};
}

bool prints_text_or_json(const Settings& settings) {
  return settings.format == Format::text || settings.format == Format::json;
}

std::expected<void, Stop> check_wallet_command(const CommandLine& line, const Settings& settings) {
  const auto refuse = [](std::string_view text) { return std::unexpected(usage_error(text)); };
  if (!settings.targets.empty()) return refuse("wallet takes no TARGET");
  if (line.wallet->kind == WalletCommand::Kind::withdraw && !settings.issuer) {
    return refuse(
        "wallet withdraw needs --chain-url, --ecash-contract, --issuer and --issuer-token-file");
  }
  if (!prints_text_or_json(settings)) return refuse("wallet prints text or json");
  if (line.values.contains("textfile")) return refuse("wallet takes no --textfile");
  return {};
}

/// Options of a probe that say nothing about load, and the other way round. In the environment and
/// the file they stand for the runs that have a use for them.
std::expected<void, Stop> check_load(const CommandLine& line, const Settings& settings) {
  const auto refuse = [](std::string_view text) { return std::unexpected(usage_error(text)); };
  if (!line.load) {
    for (const auto& option : table()) {
      if (option.group == load_group && line.values.contains(option.name)) {
        return refuse(fmt::format("--{} belongs to lp-probe load", option.name));
      }
    }
    return {};
  }
  for (const auto* name : {"wg-config", "only-wireguard", "trace", "warn", "crit", "interval",
                           "parallel", "textfile"}) {
    if (line.values.contains(name)) return refuse(fmt::format("load takes no --{}", name));
  }
  if (settings.targets.size() > 1) return refuse("load takes one TARGET");
  if (!prints_text_or_json(settings)) return refuse("load prints text or json");
  if (!settings.use_mock_ecash && !settings.count_given) {
    return refuse("load needs --use-mock-ecash, or --count with as many tickets of the wallet");
  }
  return {};
}

std::expected<void, Stop> check(const CommandLine& line, const Settings& settings) {
  const auto refuse = [](std::string_view text) { return std::unexpected(usage_error(text)); };
  if (settings.ipv4 && settings.ipv6) return refuse("-4 and -6 exclude each other");
  if (settings.list_error_codes || settings.version || line.decode) return {};
  if (auto checked = check_tickets(settings); !checked) return checked;
  if (line.wallet) return check_wallet_command(line, settings);
  if (auto checked = check_load(line, settings); !checked) return checked;
  if (auto checked = line.load ? std::expected<void, Stop>{} : check_tunnel(settings); !checked) {
    return checked;
  }
  if (!line.load && settings.tunnel_of_file()) return {};
  if (settings.targets.empty() && !settings.gateway_ip && settings.bad_targets.empty()) {
    return refuse("no TARGET: give [IDENTITY@]HOST[:PORT], or --gateway-ip HOST");
  }
  const bool dvpn = settings.mode == ModeName::dvpn;
  if (line.load) return {};
  if (!dvpn && !settings.wg_config.empty()) {
    return refuse("--wg-config needs --mode dvpn: there is no tunnel in mixnet mode");
  }
  if (!settings.wg_config.empty() && settings.targets.size() > 1) {
    return refuse("--wg-config takes one target");
  }
  return {};
}

}  // namespace

std::expected<Settings, Stop> load(const std::vector<std::string>& args,
                                   const Environment& environment) {
  auto line = parse_command_line(args);
  if (!line) return std::unexpected(std::move(line.error()));
  auto file = read_file(*line, environment);
  if (!file) return std::unexpected(std::move(file.error()));
  Settings settings;
  settings.decode = line->decode;
  settings.wallet_command = line->wallet;
  settings.load = line->load;
  for (const auto& option : table()) {
    if (auto applied = apply(option, *line, environment, *file, settings); !applied) {
      return std::unexpected(std::move(applied.error()));
    }
  }
  if (settings.trace) settings.parallel = 1;  // the packets of several would be one stream
  if (settings.wallet.empty()) settings.wallet = default_wallet(environment);
  if (auto added = add_targets(*line, settings); !added) {
    return std::unexpected(std::move(added.error()));
  }
  if (auto checked = check(*line, settings); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  const bool probes = !settings.version && !settings.list_error_codes && !settings.decode &&
                      !settings.wallet_command && !settings.load;
  if (auto read = probes ? read_preshared_key(settings) : std::expected<void, Stop>{}; !read) {
    return std::unexpected(std::move(read.error()));
  }
  return settings;
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace lp::probe::options
