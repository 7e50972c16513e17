#include "lib/session/transport.h"

#include <utility>

namespace lp::session {

Transport::Transport(noise::TransportKeys keys, HandshakePackets handshake) noexcept
    : keys_(std::move(keys)), handshake_(handshake), next_counter_(handshake.sent) {
  // "The packets of the handshake and those of the transport share one sequence of counters, and
  // one window, for each direction."
  for (std::uint64_t counter = 0; counter < handshake.received; ++counter) {
    received_.validate(counter);
  }
}

Result<std::uint64_t> Transport::next_counter() const noexcept {
  if (exhausted_) return fail(Error::counter_exhausted);
  return next_counter_;
}

void Transport::skip_to(std::uint64_t counter) noexcept {
  if (counter > next_counter_) next_counter_ = counter;
}

Status Transport::seal(ByteView plaintext, MutableByteView out) noexcept {
  if (exhausted_) return fail(Error::counter_exhausted);
  const std::uint64_t nonce = next_counter_ - handshake_.sent;
  if (auto sealed = keys_.send.encrypt_at(nonce, plaintext, out); !sealed) return sealed;
  // "A counter is used once. When the last, 2^64 - 1, has been used, sending fails."
  if (next_counter_ == UINT64_MAX) {
    exhausted_ = true;
  } else {
    ++next_counter_;
  }
  return {};
}

Status Transport::open(std::uint64_t counter, ByteView ciphertext, MutableByteView out) noexcept {
  if (counter < handshake_.received) return fail(Error::counter_not_transport);
  // "A receiver looks the counter up, then decrypts, then marks."
  switch (received_.check(counter)) {
    case replay::Verdict::too_old:
      return fail(Error::replay_too_old);
    case replay::Verdict::duplicate:
      return fail(Error::replay_duplicate);
    case replay::Verdict::accept:
      break;
  }
  const std::uint64_t nonce = counter - handshake_.received;
  if (auto opened = keys_.receive.decrypt_at(nonce, ciphertext, out); !opened) return opened;
  received_.validate(counter);
  return {};
}

}  // namespace lp::session
