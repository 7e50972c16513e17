// Whether bytes are UTF-8, and text that is for certain.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/bytes.h"

namespace lp {

[[nodiscard]] bool is_utf8(ByteView text) noexcept;

/// The text, with U+FFFD for every byte that is part of no well-formed sequence.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace lp
