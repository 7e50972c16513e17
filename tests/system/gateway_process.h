// A real lp-gateway for a test: started on free ports, asked, stopped, killed and started again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/storage/check.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "tests/support/process.h"

namespace lp::test {

/// True where LP_TEST_LONG asks for the large numbers.
[[nodiscard]] bool long_run();
/// The larger number with LP_TEST_LONG, else the smaller.
[[nodiscard]] int rounds(int short_run, int long_run);

[[nodiscard]] UnixSeconds now();

/// A table of /metrics: "name{labels}" to value.
class Exposition {
 public:
  explicit Exposition(std::string_view text);
  /// The value of exactly this series. Fails the test where it is not there.
  [[nodiscard]] double operator[](const std::string& series) const;
  /// The sum over all series of the family.
  [[nodiscard]] double sum(std::string_view family) const;

 private:
  std::map<std::string, double> values_;
};

/// What the tables hold.
struct Tables {
  std::int64_t clients = 0;
  std::int64_t peers = 0;
  std::int64_t spent = 0;
  std::int64_t credited = 0;
  std::int64_t removals = 0;
  friend bool operator==(const Tables&, const Tables&) = default;
};

// A database, read beside the running gateway.
[[nodiscard]] Tables read_tables(const std::filesystem::path& database);
/// The invariants that do not hold (docs/storage.md).
[[nodiscard]] std::vector<std::string> find_violations(const std::filesystem::path& database);
/// The peers that belong into WireGuard: key in hexadecimal, to "IPV4/32,IPV6/128".
[[nodiscard]] std::map<std::string, std::string> peers_with_bandwidth(
    const std::filesystem::path& database);

class GatewayProcess {
 public:
  struct Options {
    std::string program = "lp-gateway";
    std::vector<std::string> flags = {};
    bool mock_ecash = true;
    std::map<std::string, std::optional<std::string>> environment = {};
    std::optional<std::uint64_t> open_files = std::nullopt;
    /// Another gateway's data directory, whose identity key this one has as well.
    std::optional<std::filesystem::path> identity_of = std::nullopt;
  };

  /// Makes keys and a data directory, and starts with mock e-cash on loopback.
  GatewayProcess() : GatewayProcess(Options{}) {}
  explicit GatewayProcess(Options options);

  /// Starts it (again), and waits until it serves.
  void start();
  /// SIGTERM; its exit code.
  int stop();
  /// SIGKILL.
  void kill();
  [[nodiscard]] bool running() const { return child_ && child_->running(); }
  [[nodiscard]] Child& child() { return *child_; }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& identity() const { return identity_; }
  [[nodiscard]] const crypto::X25519Public& lp_key() const { return lp_key_; }
  /// "IDENTITY@127.0.0.1:PORT", as lp-probe takes it.
  [[nodiscard]] std::string target() const;
  [[nodiscard]] const TempDir& data() const { return data_; }

  [[nodiscard]] Exposition metrics() const;
  /// The answer of /readyz, with its status line.
  [[nodiscard]] std::string ready_answer() const;
  /// Waits until no connection is active, and returns the metrics of then.
  [[nodiscard]] Exposition idle_metrics() const;
  /// VmRSS, in KiB.
  [[nodiscard]] std::uint64_t resident_kib() const;

  [[nodiscard]] std::filesystem::path data_dir() const { return data_ / "gateway"; }
  [[nodiscard]] std::filesystem::path database() const { return data_ / "gateway/gateway.sqlite"; }
  [[nodiscard]] Tables tables() const;
  [[nodiscard]] std::vector<std::string> violations() const;
  /// Whether this nullifier is there, and complete: credited to a client that has its rows.
  [[nodiscard]] bool is_spent(const messages::Nullifier& nullifier) const;

 private:
  [[nodiscard]] std::string http_answer(std::string_view path) const;
  [[nodiscard]] std::string http_get(std::string_view path) const;

  Options options_;
  TempDir data_;
  std::unique_ptr<Child> child_;
  std::uint16_t port_ = 0;
  std::uint16_t http_port_ = 0;
  std::string identity_;
  crypto::X25519Public lp_key_;
};

/// "whenever nothing is in flight, success + failed = attempts = histogram count", and the same of
/// connections and handshakes (docs/gateway.md, "Metrics").
void expect_sums_agree(const Exposition& metrics);

/// A dVPN request with this WireGuard key and nullifier, each told by a number.
[[nodiscard]] messages::RegistrationRequest request(std::uint64_t key, std::uint64_t nullifier);
[[nodiscard]] messages::Nullifier numbered_nullifier(std::uint64_t number);
/// The key of `request(key, …)`.
[[nodiscard]] crypto::X25519Public numbered_wireguard_key(std::uint64_t number);

/// One whole registration over TCP. Nothing where the gateway did not answer.
[[nodiscard]] std::optional<messages::RegistrationResponse> register_once(
    std::uint16_t port, const crypto::X25519Public& lp_key,
    const messages::RegistrationRequest& request);

/// The registrations of all requests at the same time, a thread each.
[[nodiscard]] std::vector<std::optional<messages::RegistrationResponse>> register_all(
    const GatewayProcess& gateway, const std::vector<messages::RegistrationRequest>& requests);

}  // namespace lp::test
