// What lies where, and the lock that keeps a second gateway away.
#pragma once

#include <expected>
#include <filesystem>

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
[[nodiscard]] std::filesystem::path database_file(const Settings& settings);

/// Held by the gateway that runs on a data directory, for as long as its process lives: two would
/// hand out the same addresses and answer on one control socket.
class DataDirLock {
 public:
  DataDirLock() = default;
  DataDirLock(DataDirLock&& other) noexcept;
  DataDirLock& operator=(DataDirLock&& other) noexcept;
  ~DataDirLock();

  /// Fails with configuration where the directory is not there, with unavailable where another
  /// process holds the lock, and where the lock file cannot be made.
  [[nodiscard]] static std::expected<DataDirLock, Refusal> take(
      const std::filesystem::path& data_dir);

 private:
  int fd_ = -1;
};

/// Says what SQLite would say less clearly: that the file, or the directory for it, is not this
/// user's to read and write (no_permission), or not there (cannot_create).
[[nodiscard]] std::expected<void, Refusal> check_database_file(const std::filesystem::path& path);

}  // namespace lp::gateway::app
