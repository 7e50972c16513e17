// The stable sentences with which a gateway refuses a registration, in one table that the gateway
// and the probe share (docs/gateway.md, "Registration"; lp-probe(1), "ERROR CODES").
//
// A sentence is all that a client learns; details go to the gateway's log. Sentences, labels and
// codes are an interface: they are added to, never changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lp::messages {

/// Why a registration was refused, in the order in which a gateway checks.
enum class RegistrationFailure : std::uint8_t {
  malformed_request,              ///< the plaintext is no registration request
  invalid_timestamp,              ///< the request's time is outside the tolerance
  invalid_wireguard_key,          ///< not canonical base64, zero, low order, or the gateway's own
  ticket_type_mismatch,           ///< the ticket type does not fit the mode
  mode_unsupported,               ///< this gateway does not serve the mode
  credential_scheme_unsupported,  ///< a well-formed credential that the gateway cannot verify
  wrong_amount,                   ///< the amount is not what the ticket type is worth
  credential_expired,             ///< now is at or past the credential's expiry
  unknown_verification_key,       ///< no verification key for this ticket type and expiry
  bad_signature,                  ///< the credential's signature does not verify
  credential_already_spent,       ///< the nullifier was spent by another owner
  address_pool_exhausted,         ///< no private address is free
  wireguard_failed,               ///< the peer could not be added; the ticket stays good
  storage_failed,                 ///< the database could not be written; the ticket stays good
  gateway_busy,                   ///< a bounded queue is full; the ticket stays good
  processing_timeout,             ///< the registration did not end within its deadline
  shutting_down,                  ///< the gateway is about to stop
};

/// One row of the table.
struct RegistrationError {
  RegistrationFailure failure;
  std::string_view sentence;    ///< what the client is sent
  std::string_view label;       ///< `reason` of lp_registration_failed_total
  std::string_view probe_code;  ///< lp-probe's error code
};

inline constexpr std::array registration_errors{
    RegistrationError{RegistrationFailure::malformed_request, "Malformed request",
                      "malformed_request", "malformed_request"},
    RegistrationError{RegistrationFailure::invalid_timestamp, "Invalid timestamp",
                      "invalid_timestamp", "timestamp_rejected"},
    RegistrationError{RegistrationFailure::invalid_wireguard_key, "Invalid WireGuard key",
                      "invalid_wireguard_key", "wireguard_key_rejected"},
    RegistrationError{RegistrationFailure::ticket_type_mismatch,
                      "Ticket type does not fit the mode", "ticket_type_mismatch",
                      "ticket_type_mismatch"},
    RegistrationError{RegistrationFailure::mode_unsupported, "Mode not supported",
                      "mode_unsupported", "mode_unsupported"},
    RegistrationError{RegistrationFailure::credential_scheme_unsupported,
                      "Credential scheme not supported", "credential_scheme_unsupported",
                      "credential_scheme_unsupported"},
    RegistrationError{RegistrationFailure::wrong_amount, "Credential amount does not fit its type",
                      "wrong_amount", "credential_wrong_amount"},
    RegistrationError{RegistrationFailure::credential_expired, "Credential expired",
                      "credential_expired", "credential_expired"},
    RegistrationError{RegistrationFailure::unknown_verification_key,
                      "Unknown credential verification key", "unknown_verification_key",
                      "credential_unknown_key"},
    RegistrationError{RegistrationFailure::bad_signature, "Invalid credential signature",
                      "bad_signature", "credential_bad_signature"},
    RegistrationError{RegistrationFailure::credential_already_spent, "Credential already spent",
                      "credential_already_spent", "credential_spent"},
    RegistrationError{RegistrationFailure::address_pool_exhausted, "Address pool exhausted",
                      "address_pool_exhausted", "address_pool_exhausted"},
    RegistrationError{RegistrationFailure::wireguard_failed, "WireGuard peer registration failed",
                      "wireguard_failed", "wireguard_failed"},
    RegistrationError{RegistrationFailure::storage_failed, "Storage unavailable, try again",
                      "storage_failed", "storage_failed"},
    RegistrationError{RegistrationFailure::gateway_busy, "Gateway busy, try again", "gateway_busy",
                      "gateway_busy"},
    RegistrationError{RegistrationFailure::processing_timeout, "Registration timed out, try again",
                      "processing_timeout", "processing_timeout"},
    RegistrationError{RegistrationFailure::shutting_down, "Gateway shutting down", "shutting_down",
                      "gateway_shutting_down"},
};

/// The number of failures; `registration_errors[i].failure` is the i-th enumerator.
inline constexpr std::size_t registration_failure_count = registration_errors.size();

[[nodiscard]] constexpr const RegistrationError& entry(RegistrationFailure failure) noexcept {
  return registration_errors[static_cast<std::size_t>(failure)];
}
[[nodiscard]] constexpr std::string_view sentence(RegistrationFailure failure) noexcept {
  return entry(failure).sentence;
}
[[nodiscard]] constexpr std::string_view label(RegistrationFailure failure) noexcept {
  return entry(failure).label;
}
[[nodiscard]] constexpr std::string_view probe_code(RegistrationFailure failure) noexcept {
  return entry(failure).probe_code;
}

/// The failure that is told with exactly this sentence; nothing for any other text, such as that of
/// another implementation.
[[nodiscard]] constexpr std::optional<RegistrationFailure> from_sentence(
    std::string_view text) noexcept {
  for (const auto& error : registration_errors) {
    if (error.sentence == text) return error.failure;
  }
  return std::nullopt;
}

namespace detail {
/// Rows stand in the enumeration's order, and each sentence names one failure.
consteval bool registration_errors_are_sound() {
  for (std::size_t i = 0; i < registration_errors.size(); ++i) {
    if (static_cast<std::size_t>(registration_errors[i].failure) != i) return false;
    if (from_sentence(registration_errors[i].sentence) != registration_errors[i].failure) {
      return false;
    }
  }
  return registration_errors.back().failure == RegistrationFailure::shutting_down;
}
}  // namespace detail
static_assert(detail::registration_errors_are_sound());

}  // namespace lp::messages
