#include "tests/lib/wireguard/responder.h"

#include <sodium.h>

#include <utility>

#include "lib/crypto/random.h"

namespace lp::wireguard {

Responder::Responder(crypto::X25519KeyPair local_static, Secret<32> preshared)
    : local_(std::move(local_static)), preshared_(std::move(preshared)) {}

Result<void> Responder::read_initiation(ByteView datagram) {
  const auto decoded = decode(datagram);
  if (!decoded) return refuse(decoded.error());
  const auto* message = std::get_if<Initiation>(&*decoded);
  if (message == nullptr) return refuse(Refusal::message_type);
  if (message->mac1 != expected_mac1(datagram, mac1_key(local_.public_key))) {
    return refuse(Refusal::mac1_invalid);
  }
  SymmetricState symmetric(local_.public_key);
  symmetric.mix_ephemeral(message->ephemeral);
  if (auto es = symmetric.mix_dh(local_.secret, message->ephemeral); !es) return es;
  auto opened = symmetric.decrypt_and_hash(message->sealed_static, initiator_.bytes);
  if (!opened) return opened;
  if (auto ss = symmetric.mix_dh(local_.secret, initiator_); !ss) return ss;
  opened = symmetric.decrypt_and_hash(message->sealed_timestamp, timestamp_);
  if (!opened) return opened;
  initiator_ephemeral_ = message->ephemeral;
  initiator_index_ = message->sender;
  symmetric_ = std::move(symmetric);
  return {};
}

Result<ByteArray<response_size>> Responder::write_response(std::uint32_t index,
                                                           crypto::X25519KeyPair ephemeral,
                                                           MonotonicTime now) {
  if (!symmetric_) return refuse(Refusal::not_expected);
  Response message;
  message.sender = index;
  message.receiver = initiator_index_;
  message.ephemeral = ephemeral.public_key;
  symmetric_->mix_ephemeral(ephemeral.public_key);
  for (const auto* peer : {&initiator_ephemeral_, &initiator_}) {
    if (auto dh = symmetric_->mix_dh(ephemeral.secret, *peer); !dh) return refuse(dh.error());
  }
  symmetric_->mix_key_and_hash(preshared_.bytes());
  symmetric_->encrypt_and_hash({}, message.sealed_nothing);
  auto datagram = encode(message);
  put_macs(datagram, mac1_key(initiator_), nullptr);
  hash_ = symmetric_->handshake_hash();
  auto [to_responder, to_initiator] = symmetric_->split();
  session_.emplace(std::move(to_initiator), std::move(to_responder), index, initiator_index_, now);
  symmetric_.reset();
  return datagram;
}

ByteArray<cookie_reply_size> Responder::write_cookie_reply(ByteView initiation,
                                                           const MacTag& cookie) const {
  CookieReply reply;
  reply.receiver = load_le<std::uint32_t>(initiation.data() + 4);
  crypto::random_bytes(reply.nonce);
  const ByteView mac1 = initiation.last(2 * sizeof(MacTag)).first(sizeof(MacTag));
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reply.sealed_cookie.data(), nullptr, cookie.data(), cookie.size(), mac1.data(), mac1.size(),
      nullptr, reply.nonce.data(), cookie_key(local_.public_key).data());
  return encode(reply);
}

bool Responder::has_mac2(ByteView initiation, const MacTag& cookie) {
  const auto expected = mac(cookie, initiation.first(initiation.size() - sizeof(MacTag)));
  return to_array<sizeof(MacTag)>(initiation.last(sizeof(MacTag))) == expected;
}

void renew_mac1(MutableByteView message, const crypto::X25519Public& recipient) {
  put_macs(message, mac1_key(recipient), nullptr);
}

}  // namespace lp::wireguard
