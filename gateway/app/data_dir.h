// What lies where, and the lock that keeps a second gateway away.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"

namespace lp::gateway::app {

[[nodiscard]] std::filesystem::path config_file(const std::filesystem::path& data_dir);
[[nodiscard]] std::filesystem::path control_socket(const std::filesystem::path& data_dir);
[[nodiscard]] std::filesystem::path identity_key_file(const Settings& settings);
[[nodiscard]] std::filesystem::path wireguard_key_file(const Settings& settings);
[[nodiscard]] std::filesystem::path key_cache_file(const std::filesystem::path& data_dir);
/// Empty where the system's trust store is meant.
[[nodiscard]] std::filesystem::path chain_ca_file(const Settings& settings);
/// Of SQLite; not where the settings name a PostgreSQL database.
[[nodiscard]] std::filesystem::path database_file(const Settings& settings);
/// Whatever database the settings name, for people: no password.
[[nodiscard]] std::string database_name(const Settings& settings);

/// A file that is locked for as long as this, or the process, lives, with the process id in it.
class ProcessLock {
 public:
  ProcessLock() = default;
  ProcessLock(ProcessLock&& other) noexcept;
  ProcessLock& operator=(ProcessLock&& other) noexcept;
  ~ProcessLock();

  /// The data directory's: two gateways would answer on one control socket. Fails with
  /// configuration where the directory is not there, with unavailable where another process holds
  /// the lock, and where the lock file cannot be made.
  [[nodiscard]] static std::expected<ProcessLock, Refusal> take_data_dir(
      const std::filesystem::path& data_dir);
  /// The SQLite database's, a file beside it: two gateways would hand out the same addresses, and
  /// each take the other's peers out of WireGuard. SQLite's own file stays untouched, for closing
  /// it would drop SQLite's locks. Fails as check_database_file does, and as above.
  [[nodiscard]] static std::expected<ProcessLock, Refusal> take_database(
      const std::filesystem::path& database);

 private:
  [[nodiscard]] static std::expected<ProcessLock, Refusal> take(const std::filesystem::path& path,
                                                                const std::string& if_held);
  int fd_ = -1;
};

/// Says what SQLite would say less clearly: that the file, or the directory for it, is not this
/// user's to read and write (no_permission), or not there (cannot_create).
[[nodiscard]] std::expected<void, Refusal> check_database_file(const std::filesystem::path& path);

}  // namespace lp::gateway::app
