// The backup of a PostgreSQL database, which is pg_dump's: a snapshot as well, and what every
// operator of PostgreSQL knows how to restore.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "tools/db-maint/child_process.h"
#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/partial_file.h"
#include "tools/db-maint/postgres_store.h"

namespace lp::db_maint {
namespace {

constexpr unsigned dump_mode = 0600;

/// The first line of what a program complained about.
std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

/// pg_dump itself knows but one exit status.
int status_of(std::string_view said) {
  if (said.find("No space left") != std::string_view::npos) return exit_status::cannot_create;
  // --lock-wait-timeout limits the statements that lock.
  if (said.find("due to statement timeout") != std::string_view::npos) return exit_status::unknown;
  return exit_status::unavailable;
}

std::int64_t dump_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

Outcome<BackupSize> PostgresStore::backup(const std::filesystem::path& file,
                                          const OnProgress& on_progress) {
  const auto& database = url_.display();
  // Of the schema `public` pg_dump would tell pg_restore to make it, and it is always there.
  const auto schema = connection_->query_text("SELECT current_schema()");
  if (!schema) return std::unexpected(failure_of(schema.error(), database));
  auto partial = PartialFile::create(file, dump_mode);
  if (!partial) return std::unexpected(partial.error());
  const auto& path = partial->path();

  std::vector<std::string> command{
      "pg_dump", "--format=custom", "--no-password", "--file=" + path.string(),
      fmt::format("--lock-wait-timeout={}", std::max<std::int64_t>(1, lock_timeout_.count()))};
  if (*schema != "public") command.push_back(fmt::format("--schema=\"{}\"", *schema));
  command.push_back("--dbname=" + url_.connection_string_without_secrets("lp-db-maint"));
  std::map<std::string, std::string> environment;
  if (!url_.password().empty()) environment.emplace("PGPASSWORD", url_.password());
  const auto dumped = run_child(command, environment, [&] { on_progress(dump_bytes(path), 0); });
  if (!dumped) return std::unexpected(dumped.error());
  if (interrupted()) return fail(exit_status::unknown, "interrupted; no backup was made");
  if (dumped->code != 0) {
    const auto said = url_.redact(std::string(first_line(dumped->error_output)));
    return fail(status_of(said), fmt::format("{}: no backup was made; {}", database, said));
  }
  const auto listed = run_child({"pg_restore", "--list", path.string()}, {}, [] {});
  if (!listed) return std::unexpected(listed.error());
  if (listed->code != 0) {
    return fail(exit_status::critical,
                fmt::format("{}: no backup was made; what pg_dump wrote cannot be read: {}",
                            database, first_line(listed->error_output)));
  }
  const BackupSize size{.bytes = dump_bytes(path)};
  if (auto placed = partial->put_in_place(); !placed) return std::unexpected(placed.error());
  return size;
}

}  // namespace lp::db_maint
