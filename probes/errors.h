// Every way in which a probe can fail: the stage, a stable code, what it means and what to try
// (lp-probe(1), "ERROR CODES").
//
// Codes are an interface: monitoring systems match on them. They are added to, never changed.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/error.h"
#include "lib/messages/registration_errors.h"

namespace lp::probe {

/// The steps of a probe, in order.
enum class Stage : std::uint8_t {
  resolve,       ///< the target's identity and addresses
  connect,       ///< TCP
  client_hello,  ///< ClientHello and message 1 are sent, the gateway has not refused them
  handshake,     ///< up to message 2 read and message 3 made
  request,       ///< the registration request is sent
  response,      ///< the answer is read and accepted
  tunnel,        ///< traffic through WireGuard
};
inline constexpr std::size_t stage_count = 7;

/// The enumerator's name.
[[nodiscard]] std::string_view name(Stage stage) noexcept;
[[nodiscard]] std::optional<Stage> stage_from_name(std::string_view text) noexcept;

/// Exit statuses: Nagios' four, then sysexits for what went wrong before any gateway was asked.
namespace exit_status {
inline constexpr int ok = 0;
inline constexpr int warning = 1;
inline constexpr int failed = 2;
inline constexpr int unknown = 3;
inline constexpr int usage = 64;          // EX_USAGE
inline constexpr int no_input = 66;       // EX_NOINPUT
inline constexpr int unavailable = 69;    // EX_UNAVAILABLE
inline constexpr int internal = 70;       // EX_SOFTWARE
inline constexpr int cannot_create = 73;  // EX_CANTCREAT
inline constexpr int no_permission = 77;  // EX_NOPERM
inline constexpr int config = 78;         // EX_CONFIG
}  // namespace exit_status

enum class ProbeCode : std::uint8_t {
  // resolve
  dns_not_found,
  dns_failed,
  dns_timeout,
  no_address_of_family,
  http_unreachable,
  http_timeout,
  http_invalid,
  host_information_signature,
  identity_mismatch,
  identity_unverified,
  // connect
  tcp_refused,
  tcp_timeout,
  tcp_unreachable,
  tcp_failed,
  source_address_unusable,
  // client_hello, handshake
  busy,
  closed_after_client_hello,
  gateway_key_invalid,
  handshake_timeout,
  noise_decrypt,
  closed_mid_frame,
  frame_oversize,
  packet_too_short,
  version_unsupported,
  message_type_unknown,
  busy_with_content,
  packet_size_unexpected,
  unexpected_message,
  session_id_mismatch,
  counter_unexpected,
  closed_after_handshake,
  connection_failed,
  // request
  request_timeout,
  request_send_failed,
  // response
  response_timeout,
  replay_duplicate,
  replay_too_old,
  too_many_dropped,
  response_malformed,
  missing_gateway_data,
  gateway_data_invalid,
  registration_rejected,
  // response: the gateway's sentences, in the order of RegistrationFailure
  malformed_request,
  timestamp_rejected,
  wireguard_key_rejected,
  ticket_type_mismatch,
  mode_unsupported,
  credential_scheme_unsupported,
  credential_wrong_amount,
  credential_expired,
  credential_unknown_key,
  credential_bad_signature,
  credential_spent,
  address_pool_exhausted,
  wireguard_failed,
  storage_failed,
  gateway_busy,
  processing_timeout,
  gateway_shutting_down,
  // tunnel
  wireguard_refused,
  wireguard_unreachable,
  wireguard_handshake_timeout,
  wireguard_under_load,
  wireguard_response_invalid,
  tunnel_silent,
  tunnel_no_forwarding,
  tunnel_dns_failed,
  // tickets: the wallet, the chain and the issuer
  wallet_unusable,
  wallet_exposed,
  wallet_corrupt,
  wallet_version,
  no_ticket,
  chain_unreachable,
  chain_timeout,
  chain_invalid,
  no_verification_key,
  issuer_token_unreadable,
  issuer_token_exposed,
  issuer_token_rejected,
  issuer_allowance,
  issuer_refused,
  issuer_unreachable,
  issuer_timeout,
  issuer_invalid,
  ticket_invalid,
  // the probe's own
  interrupted,
  out_of_descriptors,
  internal,
  usage,
  input_unreadable,
  output_unwritable,
  config_invalid,
};

/// One row of `lp-probe --list-error-codes`.
struct ErrorCode {
  ProbeCode code;
  std::string_view name;     ///< stable
  std::string_view stages;   ///< where it appears, comma-separated; "-" before any stage
  int exit_status;           ///< what a run that ends with it exits with
  std::string_view meaning;  ///< one sentence without a full stop
  std::string_view hint;     ///< what to look at next, likewise
};

/// All rows, in the order of ProbeCode.
[[nodiscard]] std::span<const ErrorCode> error_codes() noexcept;
[[nodiscard]] const ErrorCode& entry(ProbeCode code) noexcept;
[[nodiscard]] std::string_view name(ProbeCode code) noexcept;
/// The code of a gateway's refusal; registration_rejected for a sentence that the table lacks.
[[nodiscard]] ProbeCode code_of_sentence(std::string_view sentence) noexcept;
/// The code under which a library error on received packets is reported.
[[nodiscard]] ProbeCode code_of(Error error) noexcept;

/// A failure: where, which, and in what circumstances. `detail` is one line for people, free of
/// control characters whatever the peer sent.
struct ProbeError {
  Stage stage = Stage::resolve;
  ProbeCode code = ProbeCode::internal;
  std::string detail;
};

template <typename T>
using Outcome = std::expected<T, ProbeError>;

[[nodiscard]] inline std::unexpected<ProbeError> fail(Stage stage, ProbeCode code,
                                                      std::string detail) {
  return std::unexpected(ProbeError{stage, code, std::move(detail)});
}

/// Text from a peer, a flag or a file as it may be shown on a terminal and in a report: printable
/// ASCII stays, every other byte becomes \xNN, and what goes beyond `max` bytes becomes "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t max = 200);

}  // namespace lp::probe
