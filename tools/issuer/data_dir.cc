#include "tools/issuer/data_dir.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace lp::issuer {
namespace {

/// Says what SQLite would say less clearly.
std::expected<void, Refusal> check_file(const std::filesystem::path& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return refuse(ExitCode::configuration,
                    file.string() + ": there is no issuer; lp-issuer init makes one");
    }
    return refuse(errno == EACCES ? ExitCode::no_permission : ExitCode::unavailable,
                  fmt::format("{}: cannot be reached: {}", file.string(), std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    return refuse(ExitCode::configuration, file.string() + ": is no regular file");
  }
  if (::access(file.c_str(), R_OK | W_OK) != 0) {
    return refuse(ExitCode::no_permission, fmt::format("{}: cannot be read and written: {}",
                                                       file.string(), std::strerror(errno)));
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return refuse(ExitCode::configuration,
                  file.string() + ": others can read the signing keys; chmod 600 it if nobody did");
  }
  return {};
}

std::expected<Store, Refusal> open_store(const std::filesystem::path& data_dir) {
  auto store = Store::open(database_file(data_dir));
  if (!store) return std::unexpected(database_refusal(data_dir, store.error()));
  return *std::move(store);
}

}  // namespace

std::filesystem::path database_file(const std::filesystem::path& data_dir) {
  return data_dir / "issuer.sqlite";
}

Refusal database_refusal(const std::filesystem::path& data_dir, const sqlite::Error& error) {
  const bool configuration = error.kind == sqlite::Error::Kind::newer_schema;
  return {configuration ? ExitCode::configuration : ExitCode::unavailable,
          fmt::format("{}: {}", database_file(data_dir).string(), error.detail)};
}

std::expected<void, Refusal> make_data_dir(const std::filesystem::path& data_dir) {
  std::error_code error;
  if (data_dir.has_parent_path())
    std::filesystem::create_directories(data_dir.parent_path(), error);
  if (error) errno = error.value();
  if (!error && (::mkdir(data_dir.c_str(), S_IRWXU) == 0 || errno == EEXIST)) {
    if (std::filesystem::is_directory(data_dir, error)) {
      if (::access(data_dir.c_str(), W_OK | X_OK) == 0) return {};
    } else {
      errno = ENOTDIR;
    }
  }
  return refuse(errno == EACCES ? ExitCode::no_permission : ExitCode::cannot_create,
                fmt::format("{}: the data directory cannot be made: {}", data_dir.string(),
                            std::strerror(errno)));
}

std::expected<Opened, Refusal> open_issuer(const std::filesystem::path& data_dir) {
  if (auto checked = check_file(database_file(data_dir)); !checked) {
    return std::unexpected(checked.error());
  }
  auto store = open_store(data_dir);
  if (!store) return std::unexpected(store.error());
  auto authority = store->authority();
  if (!authority) return std::unexpected(database_refusal(data_dir, authority.error()));
  if (!*authority) {
    return refuse(
        ExitCode::configuration,
        database_file(data_dir).string() + ": was not finished by lp-issuer init; run it again");
  }
  return Opened{*std::move(store), **std::move(authority)};
}

std::expected<Opened, Refusal> create_issuer(const std::filesystem::path& data_dir,
                                             const Authority& authority, UnixSeconds now) {
  if (auto made = make_data_dir(data_dir); !made) return std::unexpected(made.error());
  auto store = open_store(data_dir);
  if (!store) return std::unexpected(store.error());
  const auto present = store->authority();
  if (!present) return std::unexpected(database_refusal(data_dir, present.error()));
  if (*present) {
    return refuse(ExitCode::cannot_create, database_file(data_dir).string() +
                                               ": is there already, and init overwrites no key");
  }
  auto written = store->set_authority(authority);
  if (written) written = store->rotate(now);
  if (!written) return std::unexpected(database_refusal(data_dir, written.error()));
  return Opened{*std::move(store), authority};
}

TemporaryDir::TemporaryDir() {
  std::error_code error;
  auto base = std::filesystem::temp_directory_path(error);
  if (error) base = "/tmp";
  std::string pattern = (base / "lp-issuer-XXXXXX").string();
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

TemporaryDir::~TemporaryDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace lp::issuer
