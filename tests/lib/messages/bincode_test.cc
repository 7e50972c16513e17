#include "lib/messages/bincode.h"

#include <gtest/gtest.h>

#include <string_view>

#include "lib/base/encoding.h"
#include "tests/lib/outcome.h"

namespace lp::messages {
namespace {

using test::error_of;

constexpr std::size_t no_limit = SIZE_MAX;

TEST(BincodeWriter, FieldsHaveAnotherForm) {
  BincodeWriter out;
  out.u8(0x01);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090a0b0c0d0e0f);
  out.i64(-2);
  out.boolean(true);
  out.boolean(false);
  out.option(true);
  out.variant(3);
  out.raw(Bytes{0xaa, 0xbb});
  out.bytes(Bytes{0xcc});
  out.string("hi");
  EXPECT_EQ(to_hex(out.take()),
            "01"
            "0302"
            "07060504"
            "0f0e0d0c0b0a0908"
            "feffffffffffffff"
            "01"
            "00"
            "01"
            "03000000"
            "aabb"
            "0100000000000000cc"
            "02000000000000006869");
  EXPECT_TRUE(out.take().empty());
}

TEST(BincodeReader, FieldsAreReadInAnotherForm) {
  const Bytes input = from_hex(
                          "01"
                          "0302"
                          "feffffffffffffff"
                          "01"
                          "00"
                          "03000000"
                          "aabb"
                          "0100000000000000cc"
                          "02000000000000006869")
                          .value();
  BincodeReader in(input);
  EXPECT_EQ(in.u8(), 0x01);
  EXPECT_EQ(in.u16(), 0x0203);
  EXPECT_EQ(in.i64(), -2);
  EXPECT_TRUE(in.boolean());
  EXPECT_FALSE(in.option());
  EXPECT_EQ(in.variant(4), 3U);
  EXPECT_EQ(in.array<2>(), (ByteArray<2>{0xaa, 0xbb}));
  const ByteView bytes = in.bytes(1);
  ASSERT_EQ(bytes.size(), 1U);
  EXPECT_EQ(bytes[0], 0xcc);
  EXPECT_EQ(in.string(2), "hi");
  EXPECT_TRUE(in.finish());
}

TEST(BincodeReader, TagOtherThanZeroAndOneIsTaken) {
  for (unsigned tag = 0; tag <= 0xff; ++tag) {
    const Bytes input{static_cast<std::uint8_t>(tag)};
    BincodeReader as_bool(input);
    EXPECT_EQ(as_bool.boolean(), tag == 1);
    EXPECT_EQ(error_of(as_bool.finish()), tag <= 1 ? test::no_error : Error::bincode_tag) << tag;
    BincodeReader as_option(input);
    EXPECT_EQ(as_option.option(), tag == 1);
    EXPECT_EQ(as_option.ok(), tag <= 1);
  }
}

TEST(BincodeReader, VariantBeyondTheLastIsTaken) {
  for (const std::uint32_t index : {0U, 1U, 2U, 3U, 0x0100U, 0x01000000U, 0xffffffffU}) {
    Bytes input(4);
    store_le(input.data(), index);
    BincodeReader in(input);
    EXPECT_EQ(in.variant(2), index < 2 ? index : 0);
    EXPECT_EQ(error_of(in.finish()), index < 2 ? test::no_error : Error::bincode_tag) << index;
  }
}

TEST(BincodeReader, LengthBeyondInputOrLimitIsTaken) {
  for (const std::uint64_t length : {std::uint64_t{4}, std::uint64_t{5}, std::uint64_t{1} << 32,
                                     std::uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 7}) {
    Bytes input(8 + 3);
    store_le(input.data(), length);
    BincodeReader in(input);
    EXPECT_TRUE(in.bytes(no_limit).empty());
    EXPECT_EQ(error_of(in.finish()), Error::bincode_length) << length;
  }
  Bytes input(8 + 3);
  store_le(input.data(), std::uint64_t{3});
  BincodeReader over(input);
  EXPECT_TRUE(over.bytes(2).empty());
  EXPECT_EQ(error_of(over.finish()), Error::bincode_length);
  BincodeReader exact(input);
  EXPECT_EQ(exact.bytes(3).size(), 3U);
  EXPECT_TRUE(exact.finish());
}

TEST(BincodeReader, LaterErrorHidesTheFirst) {
  const Bytes input{2, 9, 9};
  BincodeReader in(input);
  EXPECT_FALSE(in.boolean());
  EXPECT_EQ(in.u64(), 0U) << "a read after an error gives what is there";
  EXPECT_EQ(in.u8(), 0U);
  EXPECT_EQ(error_of(in.finish()), Error::bincode_tag);

  BincodeReader other(input);
  other.fail_with(Error::bincode_utf8);
  other.fail_with(Error::bincode_tag);
  EXPECT_EQ(error_of(other.finish()), Error::bincode_utf8);
}

TEST(BincodeReader, RestOfTheInputIsIgnored) {
  const Bytes input{1, 2};
  BincodeReader in(input);
  EXPECT_EQ(in.u8(), 1);
  EXPECT_EQ(error_of(in.finish()), Error::bincode_trailing);
  EXPECT_EQ(in.u16(), 0);
  EXPECT_EQ(error_of(in.finish()), Error::bincode_truncated);
}

std::optional<Error> string_error(std::string_view text) {
  BincodeWriter out;
  out.string(text);
  const Bytes input = out.take();
  BincodeReader in(input);
  const std::string_view read = in.string(no_limit);
  EXPECT_EQ(read, in.ok() ? text : "");
  return error_of(in.finish());
}

// Unicode, table 3-7: the first and the last of each row, and what lies just outside.
TEST(BincodeReader, StringThatIsNotUtf8IsTaken) {
  for (const std::string_view text :
       {"", "text", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa9z"}) {
    EXPECT_EQ(string_error(text), test::no_error) << to_hex(Bytes(text.begin(), text.end()));
  }
  EXPECT_EQ(string_error(std::string_view("\0", 1)), test::no_error);
  for (const std::string_view text : {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x7f",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80\x7f",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf1\x80\x80",
                                      "\xf1\x80\x80\xc0",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "text\xff",
                                      "\xc3\xa9\xc3"}) {
    EXPECT_EQ(string_error(text), Error::bincode_utf8) << to_hex(Bytes(text.begin(), text.end()));
  }
}

}  // namespace
}  // namespace lp::messages
