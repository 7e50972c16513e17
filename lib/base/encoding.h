// Text forms of bytes: hexadecimal, base64 (RFC 4648, padded, canonical) and base58 (Bitcoin's
// alphabet, as Nym prints keys); and text within XML.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

namespace lp {

[[nodiscard]] std::string to_hex(ByteView bytes);
/// Takes upper and lower case, no separators. Fails with hex_invalid.
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);

[[nodiscard]] std::string to_base64(ByteView bytes);
/// Only the canonical form: padded, no white space, unused bits zero. Fails with base64_invalid.
[[nodiscard]] Result<Bytes> from_base64(std::string_view text);

[[nodiscard]] std::string to_base58(ByteView bytes);
/// Decodes a text that must stand for exactly N bytes, leading zeros included. Work is bounded by
/// N, not by the text. Fails with base58_invalid.
template <std::size_t N>
[[nodiscard]] Result<ByteArray<N>> from_base58(std::string_view text);

/// The general form: at most `max_bytes` bytes.
[[nodiscard]] Result<Bytes> from_base58_at_most(std::string_view text, std::size_t max_bytes);

template <std::size_t N>
Result<ByteArray<N>> from_base58(std::string_view text) {
  auto bytes = from_base58_at_most(text, N);
  if (!bytes) return fail(bytes.error());
  if (bytes->size() != N) return fail(Error::base58_invalid);
  return to_array<N>(*bytes);
}

/// For the text of an XML element: `&`, `<` and `>` are escaped.
[[nodiscard]] std::string xml_escaped(std::string_view text);

}  // namespace lp
