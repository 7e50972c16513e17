#include "lib/base/encoding.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace lp {
namespace {

constexpr std::string_view base58_alphabet =
    "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static_assert(base58_alphabet.size() == 58);

constexpr std::uint8_t no_digit = 0xff;

constexpr std::array<std::uint8_t, 256> base58_digits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(no_digit);
  for (std::size_t i = 0; i < base58_alphabet.size(); ++i) {
    digits[static_cast<std::uint8_t>(base58_alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}();

/// number = number * factor + addend, over little-endian digits of `base`. Grows by at most one
/// digit, since factor and addend are below 256 and 58.
template <unsigned base>
void multiply_add(Bytes& number, unsigned factor, unsigned addend) {
  unsigned carry = addend;
  for (auto& digit : number) {
    carry += digit * factor;
    digit = static_cast<std::uint8_t>(carry % base);
    carry /= base;
  }
  while (carry != 0) {
    number.push_back(static_cast<std::uint8_t>(carry % base));
    carry /= base;
  }
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');  // libsodium ends it with a NUL
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.empty()) return Bytes{};  // libsodium takes no null pointer, even for nothing
  if (text.size() % 2 != 0) return fail(Error::hex_invalid);
  Bytes bytes(text.size() / 2);
  std::size_t size = 0;
  if (sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size,
                     nullptr) != 0) {
    return fail(Error::hex_invalid);
  }
  return bytes;
}

std::string to_base64(ByteView bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.empty()) return Bytes{};
  if (text.size() % 4 != 0) return fail(Error::base64_invalid);
  // libsodium 1.0.18 reads every byte above 0x7f as '/', where char is signed.
  const auto is_ascii = [](char character) { return static_cast<std::uint8_t>(character) < 0x80; };
  if (!std::ranges::all_of(text, is_ascii)) return fail(Error::base64_invalid);
  Bytes bytes(text.size() / 4 * 3);
  std::size_t size = 0;
  // libsodium refuses unused bits that are set, and with no characters to ignore and no end pointer
  // it must consume the whole text.
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size,
                        nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
    return fail(Error::base64_invalid);
  }
  bytes.resize(size);
  return bytes;
}

std::string to_base58(ByteView bytes) {
  const auto first = std::ranges::find_if(bytes, [](std::uint8_t byte) { return byte != 0; });
  const auto zeros = static_cast<std::size_t>(first - bytes.begin());
  Bytes digits;
  for (const std::uint8_t byte : bytes.subspan(zeros))
    multiply_add<58>(digits, 256, byte);

  std::string text(zeros, base58_alphabet[0]);
  text.reserve(zeros + digits.size());
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    text.push_back(base58_alphabet[*digit]);
  }
  return text;
}

Result<Bytes> from_base58_at_most(std::string_view text, std::size_t max_bytes) {
  const std::size_t zeros = std::min(text.find_first_not_of(base58_alphabet[0]), text.size());
  if (zeros > max_bytes) return fail(Error::base58_invalid);

  Bytes number;
  for (const char character : text.substr(zeros)) {
    const std::uint8_t digit = base58_digits[static_cast<std::uint8_t>(character)];
    if (digit == no_digit) return fail(Error::base58_invalid);
    multiply_add<256>(number, 58, digit);
    // Stop here, or the work would grow with the square of a hostile text.
    if (zeros + number.size() > max_bytes) return fail(Error::base58_invalid);
  }
  number.insert(number.end(), zeros, 0);
  std::ranges::reverse(number);
  return number;
}

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
        break;
    }
  }
  return out;
}

}  // namespace lp
