#include "bench/registration_tickets.h"

#include <fmt/format.h>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/ticket.h"

namespace lp::bench {
namespace {

constexpr auto type = messages::TicketType::v1_wireguard_entry;

messages::Credential mock_credential() {
  messages::Credential credential;
  crypto::random_bytes(credential.nullifier);
  credential.signature = Bytes(48, 0x55);
  credential.bandwidth_amount = ecash::ticket_worth(type);
  credential.expiry = SystemWallClock().now() + 86'400;
  return credential;
}

}  // namespace

std::string Authority::verification_keys() const {
  return fmt::format(
      R"({{"data":{{"keys":[{{"epoch_id":1,"ticket_type":"{}","expiry":{},"public_key":"{}"}}]}}}})",
      messages::name(type), expiry_, to_base64(key_.public_key().encode()));
}

messages::Credential Authority::sign(const crypto::Identity& gateway) const {
  ecash::TicketMessage message{.gateway = gateway,
                               .nullifier = {},
                               .bandwidth_amount = ecash::ticket_worth(type),
                               .expiry = expiry_,
                               .type = type};
  crypto::random_bytes(message.nullifier);
  const auto signature = key_.sign(hash_to_g1(message)).encode();
  messages::Credential credential;
  credential.nullifier = message.nullifier;
  credential.signature.assign(signature.begin(), signature.end());
  credential.bandwidth_amount = message.bandwidth_amount;
  credential.expiry = message.expiry;
  return credential;
}

std::vector<messages::RegistrationRequest> make_requests(std::size_t count,
                                                         const crypto::Identity& gateway,
                                                         const Authority* authority) {
  std::vector<messages::RegistrationRequest> requests(count);
  for (auto& request : requests) {
    ByteArray<32> key;
    crypto::random_bytes(key);
    request.wg_public_key = to_base64(key);
    request.credential = authority == nullptr ? mock_credential() : authority->sign(gateway);
    request.ticket_type = type;
    request.timestamp = SystemWallClock().now();
    request.mode = messages::Dvpn{};
    request.client_ip = messages::IpV4{{127, 0, 0, 1}};
  }
  return requests;
}

}  // namespace lp::bench
