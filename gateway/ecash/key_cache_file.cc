#include "gateway/ecash/key_cache_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/net/verification_keys_json.h"

namespace lp::gateway::ecash {
namespace {

namespace json = boost::json;

constexpr std::int64_t version = 1;
/// Three lists of 4,096 keys with room to spare.
constexpr off_t max_size = 8 * 1024 * 1024;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { reset(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  /// False where the last of the writing failed.
  bool reset() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

std::unexpected<std::string> fail(const std::filesystem::path& path, std::string_view what) {
  return std::unexpected(fmt::format("{}: {}", path.string(), what));
}
std::unexpected<std::string> fail_errno(const std::filesystem::path& path, std::string_view what) {
  return fail(path, fmt::format("{}: {}", what, std::strerror(errno)));
}

std::expected<std::optional<std::string>, std::string> read_text(
    const std::filesystem::path& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno(path, "cannot be opened");
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(path, "cannot be read");
  if (!S_ISREG(status.st_mode)) return fail(path, "is no regular file");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(path, "others may write to it, and who does decides which tickets are good");
  }
  if (status.st_size > max_size) return fail(path, "is too large");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(path, "cannot be read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::expected<std::vector<Key>, std::string> keys_of(const json::object& object, const char* name) {
  const auto* list = object.if_contains(name);
  const auto* array = list == nullptr ? nullptr : list->if_array();
  if (array == nullptr) return std::unexpected(fmt::format("has no list \"{}\"", name));
  auto keys = net::keys_from_json(*array);
  if (!keys) return std::unexpected(fmt::format("in \"{}\", {}", name, keys.error()));
  return keys;
}

std::expected<KeyCache, std::string> parse(std::string_view text) {
  const auto document = net::parse_json(text);
  if (!document) return std::unexpected(document.error());
  const auto* object = document->if_object();
  const auto* number = object == nullptr ? nullptr : object->if_contains("version");
  if (number == nullptr || !number->is_int64() || number->get_int64() != version) {
    return std::unexpected(std::string("is not of a version that this lp-gateway knows"));
  }
  const auto* contract = object->if_contains("contract");
  const auto* confirmed_at = object->if_contains("confirmed_at");
  if (contract == nullptr || !contract->is_string() || confirmed_at == nullptr ||
      !confirmed_at->is_int64() || confirmed_at->get_int64() < 0) {
    return std::unexpected(std::string("has no contract or no confirmed_at"));
  }
  auto trusted = keys_of(*object, "trusted");
  if (!trusted) return std::unexpected(std::move(trusted.error()));
  auto revoked = keys_of(*object, "revoked");
  if (!revoked) return std::unexpected(std::move(revoked.error()));
  auto offered = keys_of(*object, "offered");
  if (!offered) return std::unexpected(std::move(offered.error()));

  std::vector<Key> all = *trusted;
  all.insert(all.end(), revoked->begin(), revoked->end());
  if (auto clash = net::find_clash(all); !clash.empty()) return std::unexpected(std::move(clash));
  if (auto clash = net::find_clash(*offered); !clash.empty()) {
    return std::unexpected(std::move(clash));
  }
  std::ranges::sort(*trusted, {}, id_of);
  return KeyCache{.contract = std::string(contract->get_string()),
                  .known = {.trusted = std::move(*trusted),
                            .revoked = std::move(*revoked),
                            .offered = std::move(*offered),
                            .confirmed_at = static_cast<UnixSeconds>(confirmed_at->get_int64())}};
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// The rename is safe once the directory is.
bool sync_directory(const std::filesystem::path& path) {
  const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const File opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.get() >= 0 && ::fsync(opened.get()) == 0;
}

}  // namespace

std::expected<std::optional<KeyCache>, std::string> read_key_cache(
    const std::filesystem::path& path) {
  auto text = read_text(path);
  if (!text) return std::unexpected(std::move(text.error()));
  if (!*text) return std::nullopt;
  auto cache = parse(**text);
  if (!cache) return fail(path, cache.error());
  return std::move(*cache);
}

std::expected<void, std::string> write_key_cache(const std::filesystem::path& path,
                                                 const KeyCache& cache) {
  const json::value document{{"version", version},
                             {"contract", cache.contract},
                             {"confirmed_at", cache.known.confirmed_at},
                             {"trusted", net::to_json(cache.known.trusted)},
                             {"revoked", net::to_json(cache.known.revoked)},
                             {"offered", net::to_json(cache.known.offered)}};
  auto beside = path;
  beside += ".new";
  if (::unlink(beside.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(beside, "is in the way");
  }
  File file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   S_IRUSR | S_IWUSR));
  if (file.get() < 0) return fail_errno(beside, "cannot be made");
  // An operator's command may run as root; the file stays the gateway's.
  struct stat former{};
  if (::lstat(path.c_str(), &former) == 0 && former.st_uid != ::geteuid() &&
      ::fchown(file.get(), former.st_uid, former.st_gid) != 0) {
    return fail_errno(beside, "cannot be given to the owner of the former file");
  }
  const bool written = write_all(file.get(), json::serialize(document) + '\n') &&
                       ::fsync(file.get()) == 0 && file.reset() &&
                       ::rename(beside.c_str(), path.c_str()) == 0 && sync_directory(path);
  if (!written) return fail_errno(path, "cannot be written");
  return {};
}

}  // namespace lp::gateway::ecash
