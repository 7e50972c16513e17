#include "lib/sqlite/database.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace lp::sqlite {
namespace {

/// A quick_check reads the whole file: affordable at start up to here. lp-db-maint checks any size.
constexpr std::uintmax_t quick_check_limit = 64U << 20U;

std::unexpected<Error> unavailable(std::string_view what, int error) {
  return fail(Error::Kind::unavailable,
              fmt::format("{}: {}", what, std::generic_category().message(error)));
}

/// Makes the file's directory entry durable: a registration must not be lost with its database.
void sync_directory_of(const std::filesystem::path& path) {
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  (void)::fsync(directory);
  ::close(directory);
}

Status create_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  // Made in the meantime by another process that opens the same database: that does as well.
  if (file < 0) return errno == EEXIST ? Status() : unavailable("cannot be created", errno);
  ::close(file);
  sync_directory_of(path);
  return {};
}

/// Looks at the file without opening it: closing it again would drop the locks that another
/// connection of this process may hold on it.
Status prepare_file(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return create_file(path);
    return unavailable("cannot be reached", errno);
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(Error::Kind::unavailable, "is a directory, not a database file");
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(Error::Kind::unavailable, "is no regular file");
  }
  if (::access(path.c_str(), R_OK) != 0) return unavailable("cannot be read", errno);
  if (::access(path.c_str(), W_OK) != 0) return unavailable("cannot be written", errno);
  if ((status.st_mode & 077) == 0) return {};
  // Keys and addresses of clients are nobody else's business. SQLite gives -wal and -shm the same
  // mode when it creates them.
  if (::chmod(path.c_str(), status.st_mode & 0700) != 0) {
    return unavailable("can be read by others and that cannot be changed", errno);
  }
  for (const char* suffix : {"-wal", "-shm"}) {
    const std::string beside = path.string() + suffix;
    if (::chmod(beside.c_str(), status.st_mode & 0700) != 0 && errno != ENOENT) {
      return unavailable("has a file beside it that others can read", errno);
    }
  }
  return {};
}

/// Nothing of this can come from the file: a hostile one must not run code of its choice.
Status harden(Connection& connection) {
  sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection.execute("PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON");
}

/// A new database needs to be had alone for a moment to become a WAL one. Where several processes
/// open it at that moment, each holds the read lock that the others wait for, and SQLite tells one
/// of them at once, without its busy handler, to let go and try again.
Result<std::string> switch_to_wal(Connection& connection) {
  const auto since = std::chrono::steady_clock::now();
  LockPatience patience;
  for (int attempt = 0;; ++attempt) {
    auto mode = connection.query_text("PRAGMA journal_mode = WAL");
    if (mode || mode.error().kind != Error::Kind::busy) return mode;
    if (std::chrono::steady_clock::now() - since >= LockPatience::normal) return mode;
    if (!patience.wait(attempt)) return mode;
  }
}

Status make_durable(Connection& connection) {
  auto mode = switch_to_wal(connection);
  if (!mode) return std::unexpected(std::move(mode.error()));
  if (*mode != "wal") {
    return fail(Error::Kind::unavailable,
                fmt::format("does not take the journal mode WAL but stays in '{}'; is it on "
                            "a network file system?",
                            *mode));
  }
  // A checkpoint every 16 MiB of log: rarer ones save fsyncs, and longer ones would be felt.
  return connection.execute(
      "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
      "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384");
}

Status quick_check(Connection& connection, const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > quick_check_limit) return {};
  auto verdict = connection.query_text("PRAGMA quick_check(1)");
  if (!verdict) return std::unexpected(std::move(verdict.error()));
  if (*verdict == "ok") return {};
  return fail(Error::Kind::corrupt, fmt::format("is damaged: {}", *verdict));
}

}  // namespace

Result<Connection> open_database(const std::filesystem::path& path, const Schema& schema) {
  if (auto prepared = prepare_file(path); !prepared) {
    return std::unexpected(std::move(prepared.error()));
  }
  auto connection = Connection::open(path);
  if (!connection) return connection;
  auto status = harden(*connection);
  if (status) status = check_schema_version(*connection, schema);
  if (status && connection->is_read_only()) {
    status = fail(Error::Kind::unavailable, "cannot be written");
  }
  if (status) status = make_durable(*connection);
  if (status) status = quick_check(*connection, path);
  if (status) status = migrate(*connection, schema);
  if (!status) return std::unexpected(std::move(status.error()));
  return connection;
}

Result<Connection> open_reader(const std::filesystem::path& path) {
  auto connection = Connection::open(path);
  if (!connection) return connection;
  auto status = harden(*connection);
  if (status) status = connection->execute("PRAGMA query_only = ON; PRAGMA cache_size = -4096");
  if (!status) return std::unexpected(std::move(status.error()));
  return connection;
}

Result<Connection> open_existing(const std::filesystem::path& path,
                                 std::chrono::milliseconds lock_timeout) {
  auto connection = Connection::open(path);
  if (!connection) return connection;
  connection->patience().set_limit(lock_timeout);
  if (auto status = harden(*connection); !status) return std::unexpected(std::move(status.error()));
  return connection;
}

}  // namespace lp::sqlite
