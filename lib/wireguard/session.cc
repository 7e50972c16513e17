#include "lib/wireguard/session.h"

#include <algorithm>
#include <utility>

namespace lp::wireguard {
namespace {

constexpr std::size_t padding_multiple = 16;

Refusal refusal_of(replay::Verdict verdict) noexcept {
  return verdict == replay::Verdict::duplicate ? Refusal::replay_duplicate
                                               : Refusal::replay_too_old;
}

}  // namespace

Session::Session(noise::CipherState send, noise::CipherState receive, std::uint32_t local,
                 std::uint32_t remote, MonotonicTime begun) noexcept
    : send_(std::move(send)),
      receive_(std::move(receive)),
      local_(local),
      remote_(remote),
      begun_(begun) {}

Result<void> Session::seal(ByteView packet, MonotonicTime now, Bytes& out) {
  if (now - begun_ >= reject_after_time || next_counter_ >= reject_after_messages) {
    return refuse(Refusal::expired);
  }
  const std::size_t padded =
      (packet.size() + padding_multiple - 1) / padding_multiple * padding_multiple;
  out.assign(transport_overhead + padded, 0);
  const MutableByteView view(out);
  encode_transport_header(remote_, next_counter_, view);
  const MutableByteView sealed = view.subspan(transport_header_size);
  std::ranges::copy(packet, sealed.begin());
  // In place: the plaintext is where the ciphertext goes. Cannot fail: the counter was checked.
  (void)send_.encrypt_at(next_counter_, sealed.first(padded), sealed);
  ++next_counter_;
  return {};
}

Result<void> Session::open(const Transport& message, MonotonicTime now, Bytes& packet) {
  if (message.receiver != local_) return refuse(Refusal::receiver_unknown);
  if (now - begun_ >= reject_after_time || message.counter >= reject_after_messages) {
    return refuse(Refusal::expired);
  }
  // Cheap check, authenticate, mark: a forged message never moves the window.
  if (const auto verdict = window_.check(message.counter); verdict != replay::Verdict::accept) {
    return refuse(refusal_of(verdict));
  }
  Bytes opened(message.sealed.size() - tag_size);
  if (!receive_.decrypt_at(message.counter, message.sealed, opened)) {
    return refuse(Refusal::authentication);
  }
  (void)window_.validate(message.counter);
  packet = std::move(opened);
  return {};
}

}  // namespace lp::wireguard
