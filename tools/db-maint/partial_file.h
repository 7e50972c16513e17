// lib/file's, with failures of this program.
#pragma once

#include <filesystem>
#include <system_error>

#include "lib/file/partial_file.h"
#include "tools/db-maint/failure.h"

namespace lp::db_maint {

[[nodiscard]] inline Failure failure_of(file::Error error) {
  return {error.permission ? exit_status::no_permission : exit_status::cannot_create,
          std::move(error.sentence)};
}
[[nodiscard]] inline Outcome<void> with_status(file::Outcome<void> done) {
  if (!done) return std::unexpected(failure_of(std::move(done.error())));
  return {};
}

/// Whether these are one file, by whatever names, or would be.
[[nodiscard]] inline bool is_same_file(const std::filesystem::path& a,
                                       const std::filesystem::path& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  const auto path = std::filesystem::weakly_canonical(a, error);
  return !error && path == std::filesystem::weakly_canonical(b, error) && !error;
}

/// Whether `other` would be gone once `file` is written, which is done by way of `file`.partial.
[[nodiscard]] inline bool would_overwrite(const std::filesystem::path& file,
                                          const std::filesystem::path& other) {
  return is_same_file(file, other) || is_same_file(file.string() + ".partial", other);
}

class PartialFile {
 public:
  [[nodiscard]] static Outcome<PartialFile> create(std::filesystem::path file, unsigned mode) {
    auto made = file::PartialFile::create(std::move(file), mode);
    if (!made) return std::unexpected(failure_of(std::move(made.error())));
    return PartialFile(std::move(*made));
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_.path(); }
  Outcome<void> write(std::string_view text) { return with_status(file_.write(text)); }
  Outcome<void> put_in_place() { return with_status(file_.put_in_place()); }

 private:
  explicit PartialFile(file::PartialFile file) : file_(std::move(file)) {}
  file::PartialFile file_;
};

}  // namespace lp::db_maint
