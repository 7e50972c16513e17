#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "gateway/storage/schema.h"
#include "tools/db-maint/gateway_store.h"
#include "tools/db-maint/issuer_store.h"
#include "tools/db-maint/postgres_store.h"
#include "tools/issuer/schema.h"

namespace lp::db_maint {
namespace {

/// The path in "sqlite:PATH" or "PATH". Absolute: to SQLite ":memory:" is a database without a
/// file.
Outcome<std::filesystem::path> path_of(std::string_view storage) {
  if (storage.starts_with("sqlite:")) storage.remove_prefix(7);
  std::error_code error;
  auto path = std::filesystem::absolute(std::filesystem::path(storage), error);
  if (storage.empty() || error || storage.find('\0') != std::string_view::npos) {
    return fail(exit_status::usage, "--storage: no path is given for the database");
  }
  return path;
}

/// Says what SQLite would say less clearly, without opening the file.
Outcome<void> check_file(const std::filesystem::path& path, bool writes) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return fail(exit_status::no_input,
                  fmt::format("{}: there is no such file, and none is made", path.string()));
    }
    return fail(errno == EACCES ? exit_status::no_permission : exit_status::unavailable,
                fmt::format("{}: cannot be reached: {}", path.string(),
                            std::generic_category().message(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(exit_status::no_input, fmt::format("{}: is no regular file", path.string()));
  }
  if (::access(path.c_str(), R_OK) != 0) {
    return fail(exit_status::no_permission, fmt::format("{}: cannot be read: {}", path.string(),
                                                        std::generic_category().message(errno)));
  }
  if (writes && ::access(path.c_str(), W_OK) != 0) {
    return fail(exit_status::no_permission, fmt::format("{}: cannot be written: {}", path.string(),
                                                        std::generic_category().message(errno)));
  }
  return {};
}

/// Whose database it is, by its application id. What cannot be a database at all is told apart from
/// one that is damaged: an operator's next step differs.
Outcome<StoreKind> kind_of(sqlite::Connection& connection, const StoreOptions& options,
                           const std::string& path) {
  const auto tables = connection.query_integer("SELECT count(*) FROM sqlite_schema");
  const auto id = connection.query_integer("PRAGMA application_id");
  if (!tables || !id) {
    const auto& error = tables ? id.error() : tables.error();
    if (error.kind == sqlite::Error::Kind::corrupt &&
        error.detail.find("not a database") != std::string::npos) {
      return fail(exit_status::no_input, fmt::format("{}: is no database", path));
    }
    if (error.kind == sqlite::Error::Kind::unavailable && connection.is_read_only()) {
      return fail(exit_status::no_permission,
                  fmt::format("{}: cannot be opened without writing beside it (-shm): {}", path,
                              error.detail));
    }
    return std::unexpected(failure_of(error, path));
  }
  if (*tables == 0) return fail(exit_status::no_input, fmt::format("{}: is empty", path));
  struct Known {
    StoreKind kind;
    const sqlite::Schema& schema;
  };
  for (const auto& [kind, schema] : {Known{StoreKind::gateway, gateway::storage::schema()},
                                     Known{StoreKind::issuer, issuer::schema()}}) {
    const bool retired = *id == schema.retired_application_id && *id != 0;
    if (*id != schema.application_id && !retired) continue;
    // A retired one is as it was, and refused to whoever might go on with it.
    sqlite::Schema as_it_was = schema;
    if (retired && options.retired) as_it_was.application_id = *id;
    const auto version = connection.query_integer("PRAGMA user_version");
    if (!version) return std::unexpected(failure_of(version.error(), path));
    if (auto known = sqlite::check_schema_version(connection, as_it_was); !known) {
      if (retired || *version < 1) {
        return fail(exit_status::no_input, fmt::format("{}: {}", path, known.error().detail));
      }
      return std::unexpected(failure_of(known.error(), path));
    }
    if (*version == schema.newest_version() || options.any_schema_version) return kind;
    return fail(exit_status::no_input,
                fmt::format("{}: has schema version {}, which is older than {}; stop the {} and "
                            "run lp-db-maint migrate",
                            path, *version, schema.newest_version(), name(kind)));
  }
  return fail(
      exit_status::no_input,
      fmt::format("{}: is the database of another program, not of lp-gateway or lp-issuer", path));
}

}  // namespace

Outcome<std::string> name_of_storage(const std::string& storage) {
  if (!postgres::Url::looks_like(storage)) {
    // Meant for PostgreSQL or another server, and not to be repeated: it may hold a password.
    if (!storage.starts_with("sqlite:") && (storage.find("://") != std::string::npos ||
                                            storage.find("password=") != std::string::npos)) {
      return fail(exit_status::usage,
                  "must be sqlite:PATH, a path, or postgresql://USER@HOST/DATABASE");
    }
    return storage;
  }
  const auto url = postgres::Url::parse(storage);
  if (!url) return fail(exit_status::usage, url.error().detail);
  return url->display();
}

Outcome<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  if (postgres::Url::looks_like(options.storage)) return PostgresStore::open(options);
  const auto path = path_of(options.storage);
  if (!path) return std::unexpected(path.error());
  if (auto checked = check_file(*path, options.writes); !checked) {
    return std::unexpected(checked.error());
  }
  // As SQLite does: what stands beside the database stands beside the file, not beside a link to
  // it.
  std::error_code error;
  auto file = std::filesystem::canonical(*path, error);
  if (error) file = *path;
  auto connection = sqlite::open_existing(file, options.lock_timeout);
  if (!connection) {
    const bool is_none = connection.error().kind == sqlite::Error::Kind::corrupt;
    if (is_none)
      return fail(exit_status::no_input, fmt::format("{}: is no database", path->string()));
    return std::unexpected(failure_of(connection.error(), path->string()));
  }
  const auto kind = kind_of(*connection, options, path->string());
  if (!kind) return std::unexpected(kind.error());
  if (options.writes && connection->is_read_only()) {
    return fail(exit_status::no_permission, fmt::format("{}: cannot be written", path->string()));
  }
  if (*kind == StoreKind::gateway) {
    return std::make_unique<GatewayStore>(file, options.lock_timeout, gateway::storage::schema(),
                                          std::move(*connection));
  }
  return std::make_unique<IssuerStore>(file, options.lock_timeout, issuer::schema(),
                                       std::move(*connection));
}

}  // namespace lp::db_maint
