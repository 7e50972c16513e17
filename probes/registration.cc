#include "probes/registration.h"

#include <array>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"

namespace lp::probe {
namespace {

// docs/ecash.md, "Keys": what one ticket of each type is worth, in bytes.
constexpr std::array<std::uint64_t, messages::ticket_type_count> ticket_amounts{
    200'000'000, 100'000'000, 500'000'000, 500'000'000};
constexpr std::size_t signature_size = 48;  // a compressed point of G1
constexpr UnixSeconds week = 7 * 24 * 3600;

}  // namespace

Registrant Registrant::make_dvpn(messages::TicketType ticket_type) {
  return {crypto::X25519KeyPair::generate(), messages::Dvpn{}, ticket_type};
}

Registrant Registrant::make_mixnet(messages::TicketType ticket_type) {
  messages::Mixnet mixnet;
  crypto::random_bytes(mixnet.client_id);
  return {crypto::X25519KeyPair::generate(), mixnet, ticket_type};
}

messages::Credential make_mock_credential(messages::TicketType type, UnixSeconds now) {
  messages::Credential credential;
  crypto::random_bytes(credential.nullifier);
  credential.signature.resize(signature_size);
  crypto::random_bytes(credential.signature);
  credential.bandwidth_amount = ticket_amounts[static_cast<std::size_t>(type)];
  credential.expiry = now + week;
  return credential;
}

messages::RegistrationRequest make_request(const Registrant& registrant,
                                           messages::Credential credential,
                                           const messages::IpAddress& client_ip, UnixSeconds now) {
  messages::RegistrationRequest request;
  request.wg_public_key = to_base64(registrant.wireguard.public_key.bytes);
  request.credential = std::move(credential);
  request.ticket_type = registrant.ticket_type;
  request.mode = registrant.mode;
  request.client_ip = client_ip;
  request.timestamp = now;
  return request;
}

}  // namespace lp::probe
