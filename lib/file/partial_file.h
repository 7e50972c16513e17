// A file that is written beside its place and renamed to it when it is whole: whoever reads it sees
// the old one or the new one, and a kill leaves FILE.partial, which the next run takes over.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace lp::file {

struct Error {
  bool permission = false;  ///< it is not allowed to this user
  std::string sentence;     ///< names the file; without full stop
};
template <typename T>
using Outcome = std::expected<T, Error>;

class PartialFile {
 public:
  /// Makes FILE.partial, empty, with this mode, and locks it. Fails where FILE is anything but a
  /// regular file, where another process writes it at this moment, or where the system refuses.
  [[nodiscard]] static Outcome<PartialFile> create(std::filesystem::path file, unsigned mode);

  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&& other) = delete;
  /// Removes FILE.partial unless it was put in place.
  ~PartialFile();

  /// FILE.partial. Nobody may open and close it while SQLite has it open in this process: closing
  /// drops the process's locks.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return partial_; }
  Outcome<void> write(std::string_view text);
  /// Makes it durable and renames it.
  Outcome<void> put_in_place();

 private:
  PartialFile(std::filesystem::path file, int fd)
      : file_(std::move(file)), partial_(file_.string() + ".partial"), fd_(fd) {}
  std::filesystem::path file_;
  std::filesystem::path partial_;
  int fd_ = -1;
};

}  // namespace lp::file
