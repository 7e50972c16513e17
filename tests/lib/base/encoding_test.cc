#include "lib/base/encoding.h"

#include <gtest/gtest.h>

#include "tests/lib/outcome.h"

namespace lp {
namespace {

using test::error_of;

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

TEST(Hex, DigitsAreSwappedOrLost) {
  EXPECT_EQ(to_hex(Bytes{}), "");
  EXPECT_EQ(to_hex(Bytes{0x00, 0x1f, 0xa0, 0xff}), "001fa0ff");
  EXPECT_EQ(from_hex("001fa0ff"), (Bytes{0x00, 0x1f, 0xa0, 0xff}));
  EXPECT_EQ(from_hex("001FA0fF"), (Bytes{0x00, 0x1f, 0xa0, 0xff}));
  EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, TextThatIsNotHexadecimalIsTaken) {
  for (const std::string_view text :
       {"0", "001", "0g", "g0", "00 11", "00:11", " 00", "00\n", "0x00", "-1", "\xc3\xa9"}) {
    EXPECT_EQ(error_of(from_hex(text)), Error::hex_invalid) << text;
  }
  EXPECT_EQ(error_of(from_hex(std::string_view("00\0000", 5))), Error::hex_invalid);
  EXPECT_EQ(error_of(from_hex(std::string_view("\0\0", 2))), Error::hex_invalid);
}

// RFC 4648, section 10.
TEST(Base64, DiffersFromTheRfc) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(bytes_of(plain)), encoded);
    EXPECT_EQ(from_base64(encoded), bytes_of(plain)) << encoded;
  }
  EXPECT_EQ(from_base64("++//"), (Bytes{0xfb, 0xef, 0xff}));
}

TEST(Base64, OneKeyHasSeveralTexts) {
  for (const std::string_view text :
       {"Zh==", "Zm9=",     "Zn==", "Zm8",          "Zg=",       "Zg",    "Z",      "Z===",
        "====", "=",        "Zg= ", "Zg==\n",       " Zg==",     "Zm9v=", "Zm9v==", "Zm9v====",
        "Z=g=", "Zg==Zg==", "-_-_", "Zm9v\xc3\xa9", "Zg==\n   ", "Zm\n9"}) {
    EXPECT_EQ(error_of(from_base64(text)), Error::base64_invalid) << text;
  }
  EXPECT_EQ(error_of(from_base64(std::string_view("Zm9\0", 4))), Error::base64_invalid);
  EXPECT_EQ(error_of(from_base64(std::string_view("Zg==\0\0\0\0", 8))), Error::base64_invalid);
}

/// The bytes that `decode` takes at `place` of `text`.
template <typename Decode>
std::string taken_at(std::string text, std::size_t place, Decode decode) {
  std::string taken;
  for (unsigned byte = 0; byte <= 0xff; ++byte) {
    text[place] = static_cast<char>(byte);
    if (decode(text)) taken.push_back(static_cast<char>(byte));
  }
  return taken;
}

TEST(Hex, ByteOutsideTheAlphabetIsTaken) {
  for (const std::size_t place : {0U, 1U, 2U, 3U}) {
    EXPECT_EQ(taken_at("0000", place, from_hex), "0123456789ABCDEFabcdef") << place;
  }
}

TEST(Base64, ByteOutsideTheAlphabetIsTaken) {
  for (const std::size_t place : {0U, 1U, 2U}) {
    EXPECT_EQ(taken_at("AAAAAAAA", place, from_base64),
              "+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        << place;
  }
}

TEST(Base58, ByteOutsideTheAlphabetIsTaken) {
  const auto decode = [](std::string_view text) { return from_base58_at_most(text, 8); };
  for (const std::size_t place : {0U, 1U, 3U}) {
    EXPECT_EQ(taken_at("2222", place, decode),
              "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
        << place;
  }
}

// draft-msporny-base58-03, section 5, and the leading zeros that make base58 what it is.
TEST(Base58, DiffersFromBitcoins) {
  const std::pair<Bytes, std::string_view> vectors[] = {
      {bytes_of("Hello World!"), "2NEpo7TZRRrLZSi2U"},
      {bytes_of("The quick brown fox jumps over the lazy dog."),
       "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"},
      {{0x00, 0x00, 0x28, 0x7f, 0xb4, 0xcd}, "11233QC4"},
      {{}, ""},
      {{0x00}, "1"},
      {{0x00, 0x00, 0x00}, "111"},
      {{0x39}, "z"},
      {{0x3a}, "21"},
      {{0xff, 0xff}, "LUv"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base58(bytes), text);
    EXPECT_EQ(from_base58_at_most(text, bytes.size()), bytes) << text;
    EXPECT_EQ(from_base58_at_most(text, 64), bytes) << text;
  }
}

TEST(Base58, KeyOfAnotherLengthIsTaken) {
  // 31, 32 and 33 bytes, with and without leading zeros.
  for (const std::uint8_t lead : ByteArray<3>{0x00, 0x01, 0xff}) {
    for (const std::size_t size : {31U, 32U, 33U}) {
      Bytes bytes(size, 0x5a);
      bytes[0] = lead;
      const auto decoded = from_base58<32>(to_base58(bytes));
      if (size == 32) {
        ASSERT_TRUE(decoded) << int{lead};
        EXPECT_EQ(Bytes(decoded->begin(), decoded->end()), bytes);
      } else {
        EXPECT_EQ(error_of(decoded), Error::base58_invalid) << size << " bytes, lead " << int{lead};
      }
    }
  }
  EXPECT_EQ(from_base58<32>(std::string(32, '1')), ByteArray<32>{});
  EXPECT_EQ(error_of(from_base58<32>(std::string(31, '1'))), Error::base58_invalid);
  EXPECT_EQ(error_of(from_base58<32>(std::string(33, '1'))), Error::base58_invalid);
  EXPECT_EQ(error_of(from_base58<32>("")), Error::base58_invalid);
  EXPECT_EQ(error_of(from_base58_at_most("112", 2)), Error::base58_invalid);
  EXPECT_EQ(error_of(from_base58_at_most("111", 2)), Error::base58_invalid);
}

TEST(Base58, CharacterOutsideTheAlphabetIsTaken) {
  for (const std::string_view text : {"0", "O", "I", "l", "2 ", " 2", "2\n", "+", "/", "-", "_",
                                      "\x80", "\xff", "2NEpo7TZRRrLZSi2U!"}) {
    EXPECT_EQ(error_of(from_base58_at_most(text, 64)), Error::base58_invalid) << text;
  }
  EXPECT_EQ(error_of(from_base58_at_most(std::string_view("2\0", 2), 64)), Error::base58_invalid);
}

// Were the whole text worked through, this would take hours: a test that ends is a test passed.
TEST(Base58, HostileTextCostsTheSquareOfItsLength) {
  EXPECT_EQ(error_of(from_base58<32>(std::string(8 << 20, 'z'))), Error::base58_invalid);
  EXPECT_EQ(error_of(from_base58<32>(std::string(8 << 20, '1'))), Error::base58_invalid);
}

TEST(XmlEscaped, MarkupPassesAsText) {
  EXPECT_EQ(xml_escaped("a<b>&c"), "a&lt;b&gt;&amp;c");
  EXPECT_EQ(xml_escaped("&amp;"), "&amp;amp;");
  EXPECT_EQ(xml_escaped(""), "");
}

}  // namespace
}  // namespace lp
