// A real gateway on loopback for lp-registration-bench, and what it tells of itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/crypto/keys.h"
#include "probes/client/socket.h"
#include "tests/support/process.h"

namespace lp::bench {

class Gateway {
 public:
  /// Starts `program` with a database of its own; `ecash_flags` say how tickets are verified.
  /// Throws where it does not start.
  Gateway(const std::string& program, const std::vector<std::string>& ecash_flags);

  [[nodiscard]] const crypto::Identity& identity() const { return identity_; }
  [[nodiscard]] const crypto::X25519Public& key() const { return key_; }
  [[nodiscard]] const probe::client::Endpoint& endpoint() const { return *endpoint_; }

  /// User and system time so far.
  [[nodiscard]] double cpu_seconds() const;

  /// Verifications so far, and tickets in them.
  struct Batches {
    double count = 0;
    double tickets = 0;
  };
  [[nodiscard]] Batches batches() const;

 private:
  test::TempDir dir_;
  crypto::Identity identity_;
  crypto::X25519Public key_;
  std::optional<test::Child> child_;
  std::optional<probe::client::Endpoint> endpoint_;
  std::string http_;
};

}  // namespace lp::bench
