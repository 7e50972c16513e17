#include "probes/wallet/ticket.h"

#include <array>

#include "lib/messages/registration_errors.h"

namespace lp::probe::wallet {
namespace {

constexpr std::array<std::string_view, ticket_state_count> state_names{
    "requested", "unspent", "sent", "spent", "exported", "void"};

/// For a ticket that was sent once.
TicketState state_after(messages::RegistrationFailure failure) noexcept {
  using enum messages::RegistrationFailure;
  switch (failure) {
    case wrong_amount:
    case credential_expired:
    case bad_signature:
    case credential_already_spent:
      return TicketState::voided;
    case malformed_request:
    case invalid_timestamp:
    case invalid_wireguard_key:
    case ticket_type_mismatch:
    case mode_unsupported:
    case credential_scheme_unsupported:
    case unknown_verification_key:
    case address_pool_exhausted:
    case gateway_busy:
      return TicketState::unspent;
    case wireguard_failed:    // the mark on the nullifier may outlive the answer
    case storage_failed:      // a commit that failed may have reached the disk
    case processing_timeout:  // the registration goes on behind the answer
    case shutting_down:       // likewise
      break;
  }
  return TicketState::sent;
}

}  // namespace

std::string_view name(TicketState state) noexcept {
  return state_names[static_cast<std::size_t>(state)];
}

std::optional<TicketState> ticket_state_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < state_names.size(); ++i) {
    if (state_names[i] == name) return static_cast<TicketState>(i);
  }
  return std::nullopt;
}

messages::Credential Ticket::credential() const {
  return {.nullifier = message.nullifier,
          .signature = signature,
          .bandwidth_amount = message.bandwidth_amount,
          .expiry = message.expiry};
}

TicketState state_after_refusal(std::string_view sentence, std::uint64_t sends) noexcept {
  const auto failure = messages::from_sentence(sentence);
  if (!failure) return TicketState::sent;
  const auto state = state_after(*failure);
  return state == TicketState::unspent && sends > 1 ? TicketState::sent : state;
}

}  // namespace lp::probe::wallet
