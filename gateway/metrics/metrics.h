// Every metric of the gateway, declared in one place (docs/gateway.md, "Metrics"). Every label
// value is fixed at start and exported as 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/messages/registration_errors.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace lp::gateway::metrics {

enum class RejectReason : std::uint8_t { max_connections, per_address, shutting_down };
inline constexpr std::array<std::string_view, 3> reject_reason_labels{
    "max_connections", "per_address", "shutting_down"};

/// Why a ClientHello was not taken.
enum class HelloFailure : std::uint8_t {
  timeout,
  closed,
  oversize,
  too_short,
  version,
  type,
  size,
  header,
  timestamp,
  replayed,
  io_error,
  shutting_down,
  other
};
inline constexpr std::array<std::string_view, 13> hello_failure_labels{
    "timeout", "closed",    "oversize", "too_short", "version",       "type", "size",
    "header",  "timestamp", "replayed", "io_error",  "shutting_down", "other"};

/// Why a handshake did not complete.
enum class HandshakeFailure : std::uint8_t {
  timeout,
  closed,
  oversize,
  too_short,
  version,
  type,
  size,
  session_id,
  counter,
  decrypt,
  low_order,
  static_key_mismatch,
  io_error,
  shutting_down,
  other
};
inline constexpr std::array<std::string_view, 15> handshake_failure_labels{
    "timeout",  "closed",        "oversize", "too_short", "version",   "type",
    "size",     "session_id",    "counter",  "decrypt",   "low_order", "static_key_mismatch",
    "io_error", "shutting_down", "other"};

/// The label of what the library refused, for every Error.
[[nodiscard]] HelloFailure hello_failure(Error error) noexcept;
[[nodiscard]] HandshakeFailure handshake_failure(Error error) noexcept;

enum class Step : std::uint8_t { wireguard, database, ecash, response };
inline constexpr std::array<std::string_view, 4> step_labels{"wireguard", "database", "ecash",
                                                             "response"};

/// What a fetch of verification keys came to. `conflict`: some keys were taken, others contradict
/// what is known.
enum class KeyRefresh : std::uint8_t {
  success,
  conflict,
  empty,
  unreachable,
  timeout,
  tls,
  http_status,
  too_large,
  malformed
};
inline constexpr std::array<std::string_view, 9> key_refresh_labels{
    "success", "conflict",    "empty",     "unreachable", "timeout",
    "tls",     "http_status", "too_large", "malformed"};

enum class WireguardOperation : std::uint8_t { add, remove, list };
inline constexpr std::array<std::string_view, 3> wireguard_operation_labels{"add", "remove",
                                                                            "list"};
enum class WireguardResult : std::uint8_t { success, unavailable, timeout, refused };
inline constexpr std::array<std::string_view, 4> wireguard_result_labels{"success", "unavailable",
                                                                         "timeout", "refused"};

/// What a poll of the transfer counters came to.
enum class MeteringResult : std::uint8_t { success, wireguard_failed, storage_failed };
inline constexpr std::array<std::string_view, 3> metering_result_labels{
    "success", "wireguard_failed", "storage_failed"};

/// The failures that lp_credential_verification_failed tells apart. Any other is "other" there.
inline constexpr std::array credential_failures{
    messages::RegistrationFailure::credential_scheme_unsupported,
    messages::RegistrationFailure::wrong_amount,
    messages::RegistrationFailure::credential_expired,
    messages::RegistrationFailure::unknown_verification_key,
    messages::RegistrationFailure::bad_signature,
    messages::RegistrationFailure::credential_already_spent,
    messages::RegistrationFailure::gateway_busy};

/// All functions may be called from any thread and cost a few atomic operations; only `text` walks
/// the whole registry. Durations are seconds of the monotonic clock.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // One outcome for each connection that was not rejected.
  void connection_opened();
  void connection_closed(bool success, double seconds);
  void connection_rejected(RejectReason reason);
  void bytes_received(std::uint64_t count);
  void bytes_sent(std::uint64_t count);

  void client_hello_failed(HelloFailure reason);
  void handshake_succeeded(double seconds);
  void handshake_failed(HandshakeFailure reason, double seconds);

  // One outcome for each attempt.
  void registration_attempted();
  void registration_succeeded(bool mixnet, double seconds);
  void registration_failed(messages::RegistrationFailure reason, double seconds);
  void step(Step step, double seconds);
  void credential_verified();
  void credential_rejected(messages::RegistrationFailure reason);
  void bandwidth_allocated(std::uint64_t bytes);

  // Verification keys, and the threads that verify with them.
  void keys_refreshed(KeyRefresh result);
  /// A number of tickets under one key, verified together; `split`: that failed, and each was
  /// verified alone.
  void batch_verified(std::size_t tickets, bool split);
  /// `confirmed_at`: when the chain last gave keys, 0 for never.
  void set_keys(std::uint64_t trusted, std::uint64_t revoked, std::uint64_t offered,
                std::uint64_t confirmed_at, std::uint64_t waiting);

  // ClientHello replay cache, accept pauses, comparisons with WireGuard.
  void hello_cache_evicted();
  void set_hello_cache_entries(std::uint64_t entries);
  void accept_paused();
  void set_mock_ecash(bool mock);
  void set_wireguard(bool healthy, std::uint64_t peers, std::uint64_t pending_removals,
                     std::uint64_t unknown_peers);
  void wireguard_operation(WireguardOperation operation, WireguardResult result);
  /// A comparison of database and WireGuard, with what it set right.
  void wireguard_compared(bool completed, std::uint64_t added);
  void wireguard_removed(std::uint64_t peers);
  /// A poll of the transfer counters at `now`.
  void metered(MeteringResult result, std::uint64_t bytes, std::uint64_t spent,
               std::uint64_t resets, std::uint64_t now);
  /// Totals since start, as the storage counts them.
  void set_storage(bool healthy, std::uint64_t transactions, std::uint64_t failed_transactions,
                   std::uint64_t statements, std::uint64_t queue_length);

  /// lp_active_lp_connections.
  [[nodiscard]] std::uint64_t active_connections() const;

  /// Prometheus text format 0.0.4 of everything. Refreshes the process's own gauges. Where the text
  /// says that no connection is active, it has the outcome of every connection there was.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] prometheus::Registry& registry();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::gateway::metrics
