#include "lib/file/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace lp::file {
namespace {

std::unexpected<Error> fail(std::string sentence) {
  return std::unexpected(Error{.permission = false, .sentence = std::move(sentence)});
}

std::unexpected<Error> refused(const std::filesystem::path& file, std::string_view what,
                               int error) {
  return std::unexpected(Error{.permission = error == EACCES || error == EPERM,
                               .sentence = fmt::format("{}: {}: {}", file.string(), what,
                                                       std::generic_category().message(error))});
}

/// Opens and locks; again where the one who held the lock has renamed or removed the file since.
Outcome<int> open_locked(const std::filesystem::path& partial, unsigned mode) {
  while (true) {
    const int fd =
        ::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd < 0) return refused(partial, "cannot be made", errno);
    struct stat opened{};
    struct stat there{};
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || ::fstat(fd, &opened) != 0) {
      const int error = errno;
      ::close(fd);
      if (error == EWOULDBLOCK) {
        return fail(fmt::format("{}: another process writes it at this moment", partial.string()));
      }
      return refused(partial, "cannot be locked", error);
    }
    if (::lstat(partial.c_str(), &there) == 0 && there.st_ino == opened.st_ino &&
        there.st_dev == opened.st_dev) {
      return fd;
    }
    ::close(fd);
  }
}

}  // namespace

Outcome<PartialFile> PartialFile::create(std::filesystem::path file, unsigned mode) {
  struct stat status{};
  if (::stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return fail(fmt::format("{}: is there and no regular file", file.string()));
  }
  const std::filesystem::path partial = file.string() + ".partial";
  const auto fd = open_locked(partial, mode);
  if (!fd) return std::unexpected(fd.error());
  PartialFile made(std::move(file), *fd);
  // One that a killed run has left; its mode may have been another. SQLite's journal beside it
  // would be taken for the new one's.
  for (const char* suffix : {"-journal", "-wal", "-shm"})
    (void)::unlink((made.partial_.string() + suffix).c_str());
  if (::ftruncate(*fd, 0) != 0 || ::fchmod(*fd, mode) != 0) {
    return refused(made.partial_, "cannot be made", errno);
  }
  return made;
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : file_(std::move(other.file_)),
      partial_(std::move(other.partial_)),
      fd_(std::exchange(other.fd_, -1)) {}

PartialFile::~PartialFile() {
  if (fd_ < 0) return;
  (void)::unlink(partial_.c_str());
  ::close(fd_);
}

Outcome<void> PartialFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return refused(partial_, "cannot be written", errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Outcome<void> PartialFile::put_in_place() {
  if (::fsync(fd_) != 0) return refused(partial_, "cannot be written", errno);
  if (std::rename(partial_.c_str(), file_.c_str()) != 0) {
    return refused(file_, "cannot be put in its place", errno);
  }
  ::close(std::exchange(fd_, -1));
  const auto parent = file_.has_parent_path() ? file_.parent_path() : std::filesystem::path(".");
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return {};
  (void)::fsync(directory);
  ::close(directory);
  return {};
}

}  // namespace lp::file
