#include "lib/wireguard/handshake.h"

#include <sodium.h>

#include <utility>

namespace lp::wireguard {
namespace {

static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == sizeof(Digest));
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == sizeof(CookieReply::nonce));
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == tag_size);

}  // namespace

Initiator::Initiator(crypto::X25519KeyPair local_static, const crypto::X25519Public& remote_static,
                     Secret<32> preshared)
    : local_(std::move(local_static)),
      remote_(remote_static),
      preshared_(std::move(preshared)),
      mac1_key_out_(mac1_key(remote_static)),
      mac1_key_in_(mac1_key(local_.public_key)),
      cookie_key_(cookie_key(remote_static)) {}

Result<ByteArray<initiation_size>> Initiator::initiate(std::uint32_t index,
                                                       crypto::X25519KeyPair ephemeral,
                                                       const Tai64n& timestamp, MonotonicTime now) {
  sent_.reset();
  Initiation message;
  message.sender = index;
  message.ephemeral = ephemeral.public_key;
  SymmetricState symmetric(remote_);
  // -> e, es, s, ss, and the timestamp as payload
  symmetric.mix_ephemeral(ephemeral.public_key);
  if (auto es = symmetric.mix_dh(ephemeral.secret, remote_); !es) return refuse(es.error());
  symmetric.encrypt_and_hash(local_.public_key.bytes, message.sealed_static);
  if (auto ss = symmetric.mix_dh(local_.secret, remote_); !ss) return refuse(ss.error());
  symmetric.encrypt_and_hash(timestamp, message.sealed_timestamp);

  auto datagram = encode(message);
  if (cookie_ && now - cookie_->received >= cookie_lifetime) cookie_.reset();
  put_macs(datagram, mac1_key_out_, cookie_ ? &cookie_->value : nullptr);
  // mac1 as sent: a cookie reply is bound to it.
  const auto mac1 = to_array<sizeof(MacTag)>(ByteView(datagram).last(2 * sizeof(MacTag)));
  sent_ = Sent{std::move(symmetric), std::move(ephemeral), index, mac1, now};
  return datagram;
}

Result<SymmetricState> Initiator::open(const Response& message, const Secret<32>& preshared) const {
  if (!sent_) return refuse(Refusal::not_expected);
  if (message.receiver != sent_->index) return refuse(Refusal::receiver_unknown);
  if (!equal_constant_time(expected_mac1(encode(message), mac1_key_in_), message.mac1)) {
    return refuse(Refusal::mac1_invalid);
  }
  // <- e, ee, se, psk, and an empty payload
  auto symmetric = sent_->symmetric.fork();
  symmetric.mix_ephemeral(message.ephemeral);
  for (const auto* own : {&sent_->ephemeral.secret, &local_.secret}) {
    if (auto dh = symmetric.mix_dh(*own, message.ephemeral); !dh) return refuse(dh.error());
  }
  symmetric.mix_key_and_hash(preshared.bytes());
  if (auto opened = symmetric.decrypt_and_hash(message.sealed_nothing, {}); !opened) {
    return refuse(opened.error());
  }
  return symmetric;
}

Result<Session> Initiator::read_response(const Response& message) {
  auto symmetric = open(message, preshared_);
  if (!symmetric) return refuse(symmetric.error());
  auto [to_responder, to_initiator] = symmetric->split();
  Session session(std::move(to_responder), std::move(to_initiator), sent_->index, message.sender,
                  sent_->at);
  sent_.reset();
  return session;
}

bool Initiator::would_take(const Response& message, const Secret<32>& preshared) const {
  return open(message, preshared).has_value();
}

Result<void> Initiator::read_cookie_reply(const CookieReply& message, MonotonicTime now) {
  if (!sent_ || sent_->cookie_read) return refuse(Refusal::not_expected);
  if (message.receiver != sent_->index) return refuse(Refusal::receiver_unknown);
  MacTag cookie{};
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          cookie.data(), nullptr, nullptr, message.sealed_cookie.data(),
          message.sealed_cookie.size(), sent_->mac1.data(), sent_->mac1.size(),
          message.nonce.data(), cookie_key_.data()) != 0) {
    return refuse(Refusal::authentication);
  }
  sent_->cookie_read = true;
  cookie_ = Cookie{cookie, now};
  return {};
}

}  // namespace lp::wireguard
