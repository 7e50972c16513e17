// The pre-shared key and the session id of a connection (lp-protocol(7), "PSK and session id").
#pragma once

#include "lib/base/error.h"
#include "lib/crypto/keys.h"
#include "lib/wire/packet.h"

namespace lp::psk {

using Psk = Secret<32>;

/// BLAKE3.derive_key("nym-lp-psk-v1", X25519(own secret, peer) ‖ salt). Fails with key_low_order.
[[nodiscard]] Result<Psk> derive_psk(const crypto::X25519Secret& own_secret,
                                     const crypto::X25519Public& peer,
                                     const wire::Salt& salt) noexcept;

/// Low 32 bits of SipHash-1-3 with key 0 over (smaller ‖ 0xCC ‖ larger). The same for both sides.
[[nodiscard]] std::uint32_t lp_id(const crypto::X25519Public& a,
                                  const crypto::X25519Public& b) noexcept;

}  // namespace lp::psk
