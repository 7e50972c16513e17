#include "gateway/app/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "lib/base/encoding.h"

namespace lp::gateway::app {
namespace {

constexpr std::size_t largest_file = 1024;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

void wipe_text(std::string& text) {
  wipe(MutableByteView(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
}

/// Its mode and kind; what strangers could read is no secret any more.
std::expected<void, Refusal> check_file(int fd, const std::filesystem::path& path,
                                        std::string_view what) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return refuse(ExitCode::configuration,
                  fmt::format("{}: the {} is no regular file", path.string(), what));
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return refuse(
        ExitCode::configuration,
        fmt::format("{}: the {} is open to others (mode {:04o}): chmod 600 it, and make a "
                    "new key if anybody may have read it",
                    path.string(), what, static_cast<unsigned>(status.st_mode & 07777)));
  }
  return {};
}

/// The one line that is neither empty nor a comment; empty where there is not exactly one.
std::string_view key_line(std::string_view text) {
  std::string_view key;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (!key.empty()) return {};
    key = line;
  }
  return key;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool sync_directory(const std::filesystem::path& directory) {
  const File opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.open() && ::fsync(opened.fd()) == 0;
}

std::unexpected<Refusal> cannot_create(const std::filesystem::path& path, int error) {
  if (error == EEXIST) {
    return refuse(ExitCode::cannot_create,
                  path.string() + ": is there already and is not overwritten");
  }
  const ExitCode code =
      error == EACCES || error == EPERM ? ExitCode::no_permission : ExitCode::cannot_create;
  return refuse(code, fmt::format("{}: cannot be made: {}", path.string(), std::strerror(error)));
}

}  // namespace

std::expected<Secret<32>, Refusal> read_key_file(const std::filesystem::path& path,
                                                 std::string_view what) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) {
    if (errno == ENOENT) {
      return refuse(
          ExitCode::configuration,
          fmt::format("{}: there is no {}: make one with lp-gateway init", path.string(), what));
    }
    return refuse(
        errno == EACCES ? ExitCode::no_permission : ExitCode::configuration,
        fmt::format("{}: the {} cannot be read: {}", path.string(), what, std::strerror(errno)));
  }
  if (auto checked = check_file(file.fd(), path, what); !checked) {
    return std::unexpected(checked.error());
  }
  SecretBuffer buffer;
  const MutableByteView room = buffer.reset(largest_file + 1);
  std::size_t size = 0;
  while (size < room.size()) {
    const ssize_t count = ::read(file.fd(), room.data() + size, room.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  const std::string_view text(reinterpret_cast<const char*>(room.data()), size);
  auto bytes = from_base64(size > largest_file ? std::string_view() : key_line(text));
  if (!bytes || bytes->size() != 32) {
    if (bytes) wipe(*bytes);
    return refuse(
        ExitCode::configuration,
        fmt::format("{}: the {} is not 32 bytes in base64 on one line", path.string(), what));
  }
  Secret<32> key(std::span<const std::uint8_t, 32>(bytes->data(), 32));
  wipe(*bytes);
  return key;
}

std::expected<void, Refusal> write_key_file(const std::filesystem::path& path,
                                            const Secret<32>& key, std::string_view comment) {
  std::string base64 = to_base64(key.bytes());
  std::string text;
  text.reserve(comment.size() + base64.size() + 4);  // no growth: it would leave a copy behind
  if (!comment.empty()) text.append("# ").append(comment).append("\n");
  text.append(base64).append("\n");
  auto created = create_file(path, text, S_IRUSR | S_IWUSR);
  wipe_text(base64);
  wipe_text(text);
  return created;
}

std::expected<void, Refusal> create_file(const std::filesystem::path& path, std::string_view text,
                                         unsigned mode) {
  std::string beside = path.string() + ".XXXXXX";
  const File file(::mkostemp(beside.data(), O_CLOEXEC));  // mode 0600
  if (!file.open()) return cannot_create(path, errno);
  // link(2), unlike rename(2), does not replace.
  const bool complete = write_all(file.fd(), text) &&
                        ::fchmod(file.fd(), static_cast<mode_t>(mode)) == 0 &&
                        ::fsync(file.fd()) == 0 && ::link(beside.c_str(), path.c_str()) == 0;
  const int error = errno;
  ::unlink(beside.c_str());
  if (!complete) return cannot_create(path, error);
  const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (!sync_directory(directory)) return cannot_create(path, errno);
  return {};
}

}  // namespace lp::gateway::app
