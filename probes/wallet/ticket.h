// A ticket as the wallet keeps it, and the states it goes through.
//
//   requested ──► unspent ──► sent ──► spent
//                  │   ▲        ├────► void
//                  │   └────────┘
//                  └─► exported
//
// Every arrow is committed before the network write that it precedes. From `requested` on the
// ticket can be asked for again at no cost, from `sent` on it goes to the same gateway with the
// same key and nowhere else: that gateway, asked again, gives its answer of then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/ecash/ticket.h"
#include "lib/messages/registration.h"
#include "probes/registration.h"

namespace lp::probe::wallet {

enum class TicketState : std::uint8_t {
  requested,  ///< drawn and blinded; the issuer may have signed it
  unspent,    ///< signed, verified, never sent
  sent,       ///< given to the gateway, or about to be: spent or not, as the gateway may know
  spent,      ///< the gateway has said so
  exported,   ///< taken out of the wallet
  voided,     ///< the gateway will never take it: see the reason. "void" in text
};
inline constexpr std::size_t ticket_state_count = 6;

[[nodiscard]] std::string_view name(TicketState state) noexcept;
[[nodiscard]] std::optional<TicketState> ticket_state_from_name(std::string_view name) noexcept;

struct Ticket {
  std::int64_t id = 0;
  TicketState state = TicketState::requested;
  ecash::TicketMessage message;
  std::uint64_t epoch_id = 0;
  Bytes signature;                      ///< empty in `requested`
  std::optional<Registrant> sent_with;  ///< from `sent` on
  std::uint64_t sends = 0;              ///< how often it was sent, or about to be
  std::string reason;                   ///< the gateway's last refusal, printable
  UnixSeconds created = 0;
  UnixSeconds changed = 0;

  [[nodiscard]] messages::Credential credential() const;
  [[nodiscard]] bool has_expired(UnixSeconds now) const noexcept { return now >= message.expiry; }
};

/// What a refusal means for the ticket that was sent. `sentence` is the gateway's, authenticated;
/// `sends` counts this time.
///
/// - `voided`: no gateway will take it any more.
/// - `unspent`: refused before the gateway came to the nullifier, or with nothing written, and sent
///   for the first time. It may be used with any key.
/// - `sent`: everything else. What the gateway has not finished, has to undo first or says in words
///   that are not known here may still take the ticket for this key; and a ticket whose first
///   answer was lost may have been taken then, whatever is said now. With the same key it stays
///   good in either case.
[[nodiscard]] TicketState state_after_refusal(std::string_view sentence,
                                              std::uint64_t sends) noexcept;

}  // namespace lp::probe::wallet
