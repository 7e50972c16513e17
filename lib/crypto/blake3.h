// BLAKE3's key derivation mode, from the official C implementation.
#pragma once

#include <initializer_list>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/secret.h"

namespace lp::crypto {

/// BLAKE3.derive_key(context, part ‖ part ‖ …), 32 bytes.
[[nodiscard]] Secret<32> blake3_derive_key(std::string_view context,
                                           std::initializer_list<ByteView> parts) noexcept;

/// BLAKE3(input), 32 bytes.
[[nodiscard]] ByteArray<32> blake3(ByteView input) noexcept;

}  // namespace lp::crypto
