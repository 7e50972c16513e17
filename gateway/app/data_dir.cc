#include "gateway/app/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "lib/postgres/url.h"

namespace lp::gateway::app {
namespace {

std::string errno_text() {
  return std::strerror(errno);
}

/// A path of a setting: relative ones start in the data directory.
std::filesystem::path within(const Settings& settings, const std::filesystem::path& path) {
  return settings.data_dir / path;  // an absolute right-hand side stands for itself
}

}  // namespace

std::filesystem::path config_file(const std::filesystem::path& data_dir) {
  return data_dir / "lp-gateway.toml";
}

std::filesystem::path control_socket(const std::filesystem::path& data_dir) {
  return data_dir / "control.sock";
}

std::filesystem::path identity_key_file(const Settings& settings) {
  return within(settings, "identity.key");
}

std::filesystem::path wireguard_key_file(const Settings& settings) {
  const auto& path = settings.wireguard_private_key_file;
  return within(settings, path.empty() ? "wireguard.key" : path);
}

std::filesystem::path key_cache_file(const std::filesystem::path& data_dir) {
  return data_dir / "ecash-keys.json";
}

std::filesystem::path chain_ca_file(const Settings& settings) {
  const auto& path = settings.chain_ca_file;
  return path.empty() ? path : within(settings, path);
}

std::filesystem::path database_file(const Settings& settings) {
  constexpr std::string_view scheme = "sqlite:";
  if (settings.storage.empty()) return within(settings, "gateway.sqlite");
  return within(settings, settings.storage.substr(scheme.size()));
}

std::string database_name(const Settings& settings) {
  if (!on_postgres(settings)) return "sqlite:" + database_file(settings).string();
  const auto url = postgres::Url::parse(settings.storage);
  return url ? url->display() : std::string();
}

ProcessLock::ProcessLock(ProcessLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ProcessLock& ProcessLock::operator=(ProcessLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ProcessLock::~ProcessLock() {
  if (fd_ >= 0) ::close(fd_);
}

std::expected<ProcessLock, Refusal> ProcessLock::take_data_dir(
    const std::filesystem::path& data_dir) {
  struct stat status{};
  if (::stat(data_dir.c_str(), &status) != 0) {
    const bool missing = errno == ENOENT;
    return refuse(errno == EACCES ? ExitCode::no_permission : ExitCode::configuration,
                  fmt::format("{}: the data directory cannot be used: {}{}", data_dir.string(),
                              errno_text(), missing ? "; lp-gateway init makes it" : ""));
  }
  if (!S_ISDIR(status.st_mode)) {
    return refuse(ExitCode::configuration, data_dir.string() + ": data_dir is no directory");
  }
  return take(data_dir / "gateway.lock",
              data_dir.string() + ": another lp-gateway runs on this data directory");
}

std::expected<ProcessLock, Refusal> ProcessLock::take_database(
    const std::filesystem::path& database) {
  if (auto checked = check_database_file(database); !checked) {
    return std::unexpected(checked.error());
  }
  // By whatever links it is reached.
  std::error_code error;
  auto path = std::filesystem::weakly_canonical(database, error);
  if (error) path = database;
  path += ".lock";
  return take(path, database.string() + ": another lp-gateway runs on this database");
}

std::expected<ProcessLock, Refusal> ProcessLock::take(const std::filesystem::path& path,
                                                      const std::string& if_held) {
  ProcessLock lock;
  lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (lock.fd_ < 0) {
    return refuse(errno == EACCES ? ExitCode::no_permission : ExitCode::cannot_create,
                  fmt::format("{}: cannot be made: {}", path.string(), errno_text()));
  }
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> text{};
    const ssize_t size = ::pread(lock.fd_, text.data(), text.size() - 1, 0);
    const std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    return refuse(ExitCode::unavailable,
                  if_held + (holder.empty() ? std::string()
                                            : ", process " + holder.substr(0, holder.find('\n'))));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.fd_, 0) != 0 ||
      ::pwrite(lock.fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return refuse(ExitCode::cannot_create,
                  fmt::format("{}: cannot be written: {}", path.string(), errno_text()));
  }
  return lock;
}

std::expected<void, Refusal> check_database_file(const std::filesystem::path& path) {
  const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode)) {
      return refuse(ExitCode::configuration, path.string() + ": the database is no regular file");
    }
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) {
      return refuse(ExitCode::no_permission,
                    fmt::format("{}: the database cannot be read and written: {}", path.string(),
                                errno_text()));
    }
  } else if (errno == EACCES) {
    return refuse(ExitCode::no_permission, fmt::format("{}: the database cannot be reached: {}",
                                                       path.string(), errno_text()));
  }
  // The journal is made beside it, also where the database is there.
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return refuse(
        errno == EACCES ? ExitCode::no_permission : ExitCode::cannot_create,
        fmt::format("{}: the database cannot be made there: {}", path.string(), errno_text()));
  }
  return {};
}

}  // namespace lp::gateway::app
