#include "lib/base/utf8.h"

namespace lp {
namespace {

/// The number of bytes of the well-formed UTF-8 sequence at the start of `text` (Unicode, table
/// 3-7), or 0: overlong forms, surrogates and values over U+10FFFF are none.
std::size_t utf8_sequence(ByteView text) noexcept {
  const std::uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;

  std::uint8_t lowest = 0x80;
  std::uint8_t highest = 0xbf;
  if (lead == 0xe0) lowest = 0xa0;
  if (lead == 0xed) highest = 0x9f;
  if (lead == 0xf0) lowest = 0x90;
  if (lead == 0xf4) highest = 0x8f;
  if (text[1] < lowest || text[1] > highest) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if (text[i] < 0x80 || text[i] > 0xbf) return 0;
  }
  return size;
}

}  // namespace

bool is_utf8(ByteView text) noexcept {
  while (!text.empty()) {
    const std::size_t size = utf8_sequence(text);
    if (size == 0) return false;
    text = text.subspan(size);
  }
  return true;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size =
        utf8_sequence({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    if (size == 0) {
      valid += "\xef\xbf\xbd";
    } else {
      valid += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return valid;
}

}  // namespace lp
