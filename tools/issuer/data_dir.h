// What lies where, and how the database is opened.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "lib/base/exit_code.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

[[nodiscard]] std::filesystem::path database_file(const std::filesystem::path& data_dir);

/// Makes the directory where it is missing, mode 0700.
[[nodiscard]] std::expected<void, Refusal> make_data_dir(const std::filesystem::path& data_dir);

/// A database that `lp-issuer init` has finished. Refuses a file that others can read: they may
/// have the signing keys.
struct Opened {
  Store store;
  Authority authority;
};
[[nodiscard]] std::expected<Opened, Refusal> open_issuer(const std::filesystem::path& data_dir);

/// Creates database, authority and the first epochs. Over nothing that is there; what an init that
/// was interrupted has left is finished.
[[nodiscard]] std::expected<Opened, Refusal> create_issuer(const std::filesystem::path& data_dir,
                                                           const Authority& authority,
                                                           UnixSeconds now);

/// A database error as a refusal.
[[nodiscard]] Refusal database_refusal(const std::filesystem::path& data_dir,
                                       const sqlite::Error& error);

/// A directory for one run, removed at its end.
class TemporaryDir {
 public:
  TemporaryDir();
  ~TemporaryDir();
  TemporaryDir(const TemporaryDir&) = delete;
  TemporaryDir& operator=(const TemporaryDir&) = delete;
  /// Empty where it could not be made; errno tells why.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace lp::issuer
