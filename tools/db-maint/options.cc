#include "tools/db-maint/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "gateway/storage/postgres_storage.h"
#include "lib/cli/commands.h"
#include "lib/cli/completion.h"
#include "lib/cli/standard_streams.h"
#include "tools/db-maint/failure.h"
#include "tools/db-maint/partial_file.h"
#include "tools/db-maint/store.h"
#include "tools/db-maint/values.h"

namespace lp::db_maint {
namespace {

Parsed<Format> parse_format(const std::string& text) {
  const std::string word = CLI::detail::to_lower(text);
  if (word == "text") return Format::text;
  if (word == "json") return Format::json;
  if (word == "csv") return Format::csv;
  return std::unexpected("must be text, json or csv");
}

class CommandLine {
 public:
  CommandLine() {
    // One is needed. CLI11 would say so without naming a word that is none, so finish() does.
    app_.require_subcommand(0, 1);
    app_.set_version_flag("--version", "lp-db-maint " LP_VERSION, "Print the version and exit");
    app_.footer(
        "These options may stand before or after the command. lp-db-maint COMMAND --help has those "
        "of\na command, which stand after it, lp-db-maint(8) the details.");
    app_.set_help_flag("-h,--help", "Print this help and exit");
    for (CLI::App* command : all_commands()) {
      command->set_help_flag("-h,--help", "Print this help and exit");
      command->fallthrough();
      command->footer(
          "Besides: --storage, --lock-timeout, --format, --textfile and --as-of of lp-db-maint "
          "--help.");
    }
    add_common();
    add_own();
  }

  std::expected<Options, ParseEnd> parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& done) {  // --help, --version
      const bool printed = app_.exit(done) == 0 && cli::standard_output_arrived();
      return std::unexpected(ParseEnd{printed ? 0 : exit_status::cannot_create});
    } catch (const CLI::ExtrasError& error) {
      return usage(without_urls(cli::unknown_argument(app_, error.what())));
    } catch (const CLI::ParseError& error) {
      return usage(without_urls(error.what()));
    }
    if (completion_.parsed()) return print_completion();
    if (app_.get_subcommands().empty()) {
      return usage(fmt::format("a command is missing: {}", cli::commands_of(app_)));
    }
    for (const auto& [app, command] : commands_) {
      if (app->parsed()) options_.command = command;
    }
    if (auto files = check_files(); !files) return usage(files.error());
    if (auto named = name_databases(); !named) return usage(named.error());
    if (options_.as_of && *options_.as_of > SystemWallClock().now()) {
      return usage("--as-of is later than the clock: what is not over yet would go");
    }
    return options_;
  }

 private:
  [[nodiscard]] std::unexpected<ParseEnd> print_completion() const {
    return std::unexpected(ParseEnd{completion_.print(
        {{"--format", {.words = {"text", "json", "csv"}}}, {"--storage", {.files = true}}})});
  }

  std::vector<CLI::App*> all_commands() const {
    std::vector<CLI::App*> all;
    all.reserve(commands_.size());
    for (const auto& [app, command] : commands_)
      all.push_back(app);
    return all;
  }

  template <typename T, typename Parse>
  void add_parsed(CLI::App& app, const std::string& flag, const std::string& type, T& value,
                  Parse parse, const std::string& help) {
    app.add_option_function<std::string>(
           flag,
           [flag, &value, parse](const std::string& text) {
             const auto parsed = parse(text);
             if (!parsed) throw CLI::ValidationError(flag, parsed.error());
             value = *parsed;
           },
           help)
        ->type_name(type);
  }

  void add_common() {
    app_.add_option("--storage", options_.storage,
                    "The database: sqlite:PATH, a path, or postgresql://…")
        ->type_name("STORAGE")
        ->envname("LP_DB_MAINT_STORAGE")
        ->capture_default_str();
    add_parsed(app_, "--lock-timeout", "TIME", options_.lock_timeout, parse_wait,
               "How long to wait for another process's lock [5s]");
    add_parsed(app_, "--format", "FORMAT", options_.format, parse_format,
               "text, json or csv [text]");
    app_.add_option("--textfile", options_.textfile,
                    "After success, write metrics for Prometheus's node exporter here")
        ->type_name("FILE");
    app_.add_option_function<std::string>(
            "--as-of",
            [this](const std::string& text) {
              const auto parsed = parse_time(text);
              if (!parsed) throw CLI::ValidationError("--as-of", parsed.error());
              options_.as_of = *parsed;
            },
            "Judge ages as of this time, not later than now")
        ->type_name("TIME");
  }

  void add_own() {
    for (CLI::App* command : {cleanup_, stale_peers_, migrate_, copy_})
      command->add_flag("--dry-run", options_.dry_run,
                        "Say what would be done, and change nothing");
    for (CLI::App* command : {cleanup_, stale_peers_}) {
      command->add_flag("--force", options_.force,
                        "Also where the clock is more than 7d past the newest ticket");
    }
    for (CLI::App* command : {cleanup_, check_}) {
      add_parsed(*command, "--retention", "TIME", options_.retention, parse_age,
                 "How long a ticket is remembered after its expiry [30d]");
    }
    add_parsed(*cleanup_, "--session-retention", "TIME", options_.session_retention, parse_age,
               "How long records of lp_sessions are kept [30d]");
    add_parsed(*stale_peers_, "--days", "DAYS", options_.stale_after, parse_age,
               "Stale is what was not seen for so long [7]");
    stale_peers_->add_flag("--remove", options_.remove, "Remove them, with their addresses");
    add_parsed(*stale_peers_, "--wait", "TIME", options_.wait, parse_wait,
               "How long to wait while the gateway takes none off WireGuard [90s]");
    add_parsed(
        *report_, "--limit", "NUMBER", options_.limit,
        [](const std::string& text) { return parse_number(text, 1, 10'000'000); },
        "How many clients [100]");
    copy_->add_option("--to", options_.target, "The database to fill: postgresql://…")
        ->type_name("STORAGE")
        ->envname("LP_DB_MAINT_TO")
        ->required();
    copy_
        ->add_option("--instance", options_.instance, "Name of the gateway whose peers they become")
        ->type_name("NAME")
        ->required();
    copy_->add_flag("--keep-source", options_.keep_source,
                    "Leave the source usable: two gateways would take every ticket twice");
    backup_->add_option("file", options_.backup_file, "Where to put it")
        ->type_name("FILE")
        ->required();
  }

  [[nodiscard]] std::expected<void, std::string> check_files() const {
    // As from a variable of a script that is not set.
    if (app_.count("--textfile") > 0 && options_.textfile.empty()) {
      return std::unexpected("--textfile: names no file");
    }
    if (options_.command != Command::backup) return {};
    if (options_.backup_file.empty()) return std::unexpected("FILE: names no file");
    if (!options_.textfile.empty() && would_overwrite(options_.textfile, options_.backup_file)) {
      return std::unexpected("--textfile: would take the place of the backup");
    }
    return {};
  }

  /// What messages call the databases: a URL without its password.
  std::expected<void, std::string> name_databases() {
    auto named = name_of_storage(options_.storage);
    if (!named) return std::unexpected("--storage: " + named.error().sentence);
    options_.database = *std::move(named);
    if (options_.command != Command::copy) return {};
    auto target = name_of_storage(options_.target);
    if (!target) return std::unexpected("--to: " + target.error().sentence);
    options_.target_database = *std::move(target);
    if (!options_.target_database.starts_with("postgresql://")) {
      return std::unexpected(
          "--to: must be postgresql://USER@HOST/DATABASE, for copy moves SQLite to PostgreSQL");
    }
    if (options_.database.starts_with("postgresql://")) {
      return std::unexpected("--storage: must be sqlite:PATH, for copy moves SQLite to PostgreSQL");
    }
    if (!gateway::storage::is_instance_name(options_.instance)) {
      return std::unexpected("--instance: must be 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
    return {};
  }

  /// A URL that stands where it should not may hold a password still.
  static std::string without_urls(std::string sentence) {
    for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
      const auto at = sentence.find(scheme);
      if (at == std::string::npos) continue;
      const auto end = sentence.find_first_of("\" ", at);
      sentence.replace(at, end == std::string::npos ? end : end - at, "a PostgreSQL URL");
    }
    return sentence;
  }

  [[nodiscard]] std::unexpected<ParseEnd> usage(std::string_view sentence) const {
    return std::unexpected(ParseEnd{cli::wrong_usage(app_, sentence)});
  }

  Options options_;
  CLI::App app_{"Looks after the database of lp-gateway or lp-issuer, also while they run.",
                "lp-db-maint"};
  CLI::App* cleanup_ =
      app_.add_subcommand("cleanup", "Remove tickets long expired and old session records");
  CLI::App* stale_peers_ =
      app_.add_subcommand("stale-peers", "List WireGuard peers not seen for long, or remove them");
  CLI::App* report_ = app_.add_subcommand("report", "Clients by the bandwidth they have used");
  CLI::App* stats_ = app_.add_subcommand("stats", "What is in the database");
  CLI::App* check_ = app_.add_subcommand("check", "Look for damage and broken invariants");
  CLI::App* backup_ = app_.add_subcommand("backup", "Copy the database, also while it is in use");
  CLI::App* vacuum_ = app_.add_subcommand(
      "vacuum", "Give free pages back; with SQLite the gateway must be stopped");
  CLI::App* migrate_ = app_.add_subcommand(
      "migrate", "Bring the schema to this version; the gateway must be stopped");
  CLI::App* copy_ = app_.add_subcommand(
      "copy", "Move a SQLite database to PostgreSQL; the gateway must be stopped");
  std::vector<std::pair<CLI::App*, Command>> commands_{
      {cleanup_, Command::cleanup}, {stale_peers_, Command::stale_peers},
      {report_, Command::report},   {stats_, Command::stats},
      {check_, Command::check},     {backup_, Command::backup},
      {vacuum_, Command::vacuum},   {migrate_, Command::migrate},
      {copy_, Command::copy}};
  cli::CompletionCommand completion_{app_};
};

}  // namespace

std::string_view name(Command command) noexcept {
  switch (command) {
    case Command::cleanup:
      return "cleanup";
    case Command::stale_peers:
      return "stale-peers";
    case Command::report:
      return "report";
    case Command::stats:
      return "stats";
    case Command::check:
      return "check";
    case Command::backup:
      return "backup";
    case Command::vacuum:
      return "vacuum";
    case Command::migrate:
      return "migrate";
    case Command::copy:
      return "copy";
  }
  return {};
}

std::expected<Options, ParseEnd> parse_options(int argc, const char* const* argv) {
  return CommandLine().parse(argc, argv);
}

}  // namespace lp::db_maint
