// Which tickets a running process has in its hands.
//
// The wallet's states survive a crash, a claim must not: a ticket that a killed probe held has to
// be free for the next one at once, and a ticket that a running probe has sent must not be sent
// again by another before the answer is known. So a claim is a lock of the operating system, which
// ends with its process: byte N of a file beside the wallet stands for ticket N.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe::wallet {

class Leases;

/// A claim on one ticket against all other processes, and all others in this one. Given back when
/// it goes.
class Lease {
 public:
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { release(); }

  [[nodiscard]] std::int64_t id() const noexcept { return id_; }

 private:
  friend class Leases;
  Lease(std::shared_ptr<Leases> leases, std::int64_t id) noexcept
      : leases_(std::move(leases)), id_(id) {}
  void release() noexcept;

  std::shared_ptr<Leases> leases_;
  std::int64_t id_;
};

/// Used by any number of threads.
class Leases : public std::enable_shared_from_this<Leases> {
 public:
  /// Makes the file where it is missing, mode 0600. Fails with wallet_unusable.
  [[nodiscard]] static Outcome<std::shared_ptr<Leases>> open(const std::filesystem::path& path);

  /// Nothing where somebody else has it. Fails with wallet_unusable where the file system has no
  /// such locks.
  [[nodiscard]] Outcome<std::optional<Lease>> try_acquire(std::int64_t id);

 private:
  friend class Lease;
  Leases(client::Descriptor file, std::string path) noexcept
      : file_(std::move(file)), path_(std::move(path)) {}
  void release(std::int64_t id) noexcept;

  client::Descriptor file_;
  std::string path_;
  std::mutex mutex_;
  std::set<std::int64_t> held_;  ///< the lock is one for the whole process
};

}  // namespace lp::probe::wallet
