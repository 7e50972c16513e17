#include "lib/noise/handshake_state.h"

namespace lp::noise {
namespace {

constexpr std::string_view protocol_name = "Noise_XKpsk3_25519_ChaChaPoly_SHA256";
constexpr std::size_t key_size = 32;
constexpr std::size_t sealed_key_size = key_size + CipherState::tag_size;

/// Initialises with the empty prologue and the pre-message `<- s`.
SymmetricState start(const crypto::X25519Public& responder_static) noexcept {
  SymmetricState symmetric(protocol_name);
  symmetric.mix_hash({});
  symmetric.mix_hash(responder_static.bytes);
  return symmetric;
}

/// Token `e`, either way. "In any handshake pattern that has a psk token, e is followed by
/// MixKey(e.public_key)" (section 9.2): without it the first message of a psk3 pattern would repeat
/// keys.
void mix_ephemeral(SymmetricState& symmetric, const crypto::X25519Public& ephemeral) noexcept {
  symmetric.mix_hash(ephemeral.bytes);
  symmetric.mix_key(ephemeral.bytes);
}

/// Tokens `ee`, `es`, `se`.
Status mix_dh(SymmetricState& symmetric, const crypto::X25519KeyPair& own,
              const crypto::X25519Public& peer) noexcept {
  const auto shared = crypto::x25519(own.secret, peer);
  if (!shared) return fail(shared.error());
  symmetric.mix_key(shared->bytes());
  return {};
}

template <std::size_t N>
crypto::X25519Public ephemeral_in(const ByteArray<N>& message) noexcept {
  return {to_array<key_size>(message)};
}

}  // namespace

Initiator::Initiator(crypto::X25519KeyPair local_static, const crypto::X25519Public& remote_static,
                     crypto::X25519KeyPair ephemeral) noexcept
    : symmetric_(start(remote_static)),
      s_(std::move(local_static)),
      e_(std::move(ephemeral)),
      rs_(remote_static) {}

Result<Message1> Initiator::write_message_1() noexcept {
  Message1 message;
  const MutableByteView out(message);
  // -> e, es, and the empty payload's tag
  std::memcpy(out.data(), e_.public_key.bytes.data(), key_size);
  mix_ephemeral(symmetric_, e_.public_key);
  if (auto es = mix_dh(symmetric_, e_, rs_); !es) return fail(es.error());
  if (auto sealed = symmetric_.encrypt_and_hash({}, out.subspan(key_size)); !sealed) {
    return fail(sealed.error());
  }
  return message;
}

Status Initiator::read_message_2(const Message2& message) noexcept {
  // <- e, ee, and the empty payload's tag
  re_ = ephemeral_in(message);
  mix_ephemeral(symmetric_, re_);
  if (auto ee = mix_dh(symmetric_, e_, re_); !ee) return ee;
  return symmetric_.decrypt_and_hash(ByteView(message).subspan(key_size), {});
}

Result<Message3> Initiator::write_message_3(const Secret<32>& psk) noexcept {
  Message3 message;
  const MutableByteView out(message);
  // -> s, se, psk, and the empty payload's tag
  auto sealed = symmetric_.encrypt_and_hash(s_.public_key.bytes, out.first(sealed_key_size));
  if (!sealed) return fail(sealed.error());
  if (auto se = mix_dh(symmetric_, s_, re_); !se) return fail(se.error());
  symmetric_.mix_key_and_hash(psk.bytes());
  sealed = symmetric_.encrypt_and_hash({}, out.subspan(sealed_key_size));
  if (!sealed) return fail(sealed.error());
  return message;
}

TransportKeys Initiator::split() noexcept {
  auto [to_responder, to_initiator] = symmetric_.split();
  return {std::move(to_responder), std::move(to_initiator)};
}

const crypto::Sha256Digest& Initiator::handshake_hash() const noexcept {
  return symmetric_.handshake_hash();
}

Responder::Responder(const crypto::X25519KeyPair& local_static,
                     crypto::X25519KeyPair ephemeral) noexcept
    : symmetric_(start(local_static.public_key)), s_(&local_static), e_(std::move(ephemeral)) {}

Status Responder::read_message_1(const Message1& message) noexcept {
  re_ = ephemeral_in(message);
  mix_ephemeral(symmetric_, re_);
  if (auto es = mix_dh(symmetric_, *s_, re_); !es) return es;
  return symmetric_.decrypt_and_hash(ByteView(message).subspan(key_size), {});
}

Result<Message2> Responder::write_message_2() noexcept {
  Message2 message;
  const MutableByteView out(message);
  std::memcpy(out.data(), e_.public_key.bytes.data(), key_size);
  mix_ephemeral(symmetric_, e_.public_key);
  if (auto ee = mix_dh(symmetric_, e_, re_); !ee) return fail(ee.error());
  if (auto sealed = symmetric_.encrypt_and_hash({}, out.subspan(key_size)); !sealed) {
    return fail(sealed.error());
  }
  return message;
}

Result<crypto::X25519Public> Responder::read_message_3_static(const Message3& message) noexcept {
  auto opened = symmetric_.decrypt_and_hash(ByteView(message).first(sealed_key_size), rs_.bytes);
  if (!opened) return fail(opened.error());
  return rs_;
}

Status Responder::read_message_3_psk(const Message3& message, const Secret<32>& psk) noexcept {
  if (auto se = mix_dh(symmetric_, e_, rs_); !se) return se;
  symmetric_.mix_key_and_hash(psk.bytes());
  return symmetric_.decrypt_and_hash(ByteView(message).subspan(sealed_key_size), {});
}

TransportKeys Responder::split() noexcept {
  auto [to_responder, to_initiator] = symmetric_.split();
  return {std::move(to_initiator), std::move(to_responder)};
}

const crypto::Sha256Digest& Responder::handshake_hash() const noexcept {
  return symmetric_.handshake_hash();
}

}  // namespace lp::noise
