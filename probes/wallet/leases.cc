#include "probes/wallet/leases.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

namespace lp::probe::wallet {
namespace {

// Locks of the open file, not of the process: another part of the process that opens and closes the
// same file does not end them.
int set_lock(int file, short type, std::int64_t id) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = id;
  lock.l_len = 1;
  int result = 0;
  do {
    result = fcntl(file, F_OFD_SETLK, &lock);
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    leases_ = std::move(other.leases_);
    id_ = other.id_;
  }
  return *this;
}

void Lease::release() noexcept {
  if (leases_) leases_->release(id_);
  leases_.reset();
}

Outcome<std::shared_ptr<Leases>> Leases::open(const std::filesystem::path& path) {
  client::Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    return fail(Stage::resolve, ProbeCode::wallet_unusable,
                fmt::format("{}: {}", printable(path.string()), client::errno_text(errno)));
  }
  return std::shared_ptr<Leases>(new Leases(std::move(file), path.string()));
}

Outcome<std::optional<Lease>> Leases::try_acquire(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  if (held_.contains(id)) return std::nullopt;
  if (set_lock(file_.get(), F_WRLCK, id) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::nullopt;
    return fail(
        Stage::resolve, ProbeCode::wallet_unusable,
        fmt::format("{}: cannot be locked: {}", printable(path_), client::errno_text(errno)));
  }
  held_.insert(id);
  return Lease(shared_from_this(), id);
}

void Leases::release(std::int64_t id) noexcept {
  const std::lock_guard lock(mutex_);
  set_lock(file_.get(), F_UNLCK, id);
  held_.erase(id);
}

}  // namespace lp::probe::wallet
