// lib/file's, with failures of this program.
#pragma once

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
