// What a probe registers: its WireGuard key or mixnet client id, and the tickets it sends.
#pragma once

#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"

namespace lp::probe {

/// One identity towards a gateway. All probes of one target in one run share it, so that a run
/// leaves one peer behind and not one per probe.
struct Registrant {
  crypto::X25519KeyPair wireguard;
  messages::Mode mode;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;

  [[nodiscard]] Registrant clone() const { return {wireguard.clone(), mode, ticket_type}; }
  [[nodiscard]] static Registrant make_dvpn(messages::TicketType ticket_type);
  /// With a random client id.
  [[nodiscard]] static Registrant make_mixnet(messages::TicketType ticket_type);
};

/// A dummy ticket, well-formed and worth nothing: random nullifier and signature, the type's
/// amount, an expiry a week after `now`. Only a gateway with mock e-cash takes it.
[[nodiscard]] messages::Credential make_mock_credential(messages::TicketType type, UnixSeconds now);

/// The request that sends `credential`.
[[nodiscard]] messages::RegistrationRequest make_request(const Registrant& registrant,
                                                         messages::Credential credential,
                                                         const messages::IpAddress& client_ip,
                                                         UnixSeconds now);

}  // namespace lp::probe
