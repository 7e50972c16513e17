#include "lib/messages/registration.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/encoding.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::messages {
namespace {

using test::error_of;

Result<RegistrationRequest> decode(const test::RequestVector&, ByteView input) {
  return decode_request(input);
}
Result<RegistrationResponse> decode(const test::ResponseVector&, ByteView input) {
  return decode_response(input);
}

/// Calls `use` with every vector, requests and responses alike.
template <typename Use>
void for_each_vector(Use use) {
  for (const auto& vector : test::lp_v1().requests)
    use(vector);
  for (const auto& vector : test::lp_v1().responses)
    use(vector);
}

TEST(RegistrationMessages, DifferFromTheVectors) {
  for_each_vector([](const auto& vector) {
    EXPECT_EQ(encode(vector.value), vector.bincode);
    const auto decoded = decode(vector, vector.bincode);
    ASSERT_TRUE(decoded) << name(decoded.error());
    EXPECT_TRUE(*decoded == vector.value);
  });
}

TEST(RegistrationMessages, TruncatedMessageIsTaken) {
  for_each_vector([](const auto& vector) {
    for (std::size_t size = 0; size < vector.bincode.size(); ++size) {
      // An exact allocation, so that a sanitizer sees a read beyond it.
      const Bytes input(vector.bincode.begin(),
                        vector.bincode.begin() + static_cast<std::ptrdiff_t>(size));
      const auto error = error_of(decode(vector, input));
      EXPECT_TRUE(error == Error::bincode_truncated || error == Error::bincode_length)
          << size << " bytes";
    }
  });
}

TEST(RegistrationMessages, TrailingByteIsTaken) {
  for_each_vector([](const auto& vector) {
    for (const std::uint8_t byte : ByteArray<3>{0x00, 0x01, 0xff}) {
      Bytes input = vector.bincode;
      input.push_back(byte);
      EXPECT_EQ(error_of(decode(vector, input)), Error::bincode_trailing);
    }
  });
}

// What decodes is the one encoding of its value: a byte that decoding ignores, or that two values
// share, would show here.
TEST(RegistrationMessages, MutatedByteIsIgnored) {
  for_each_vector([](const auto& vector) {
    std::size_t decoded_ones = 0;
    for (std::size_t at = 0; at < vector.bincode.size(); ++at) {
      Bytes input = vector.bincode;
      for (unsigned change = 1; change <= 0xff; ++change) {
        input[at] = static_cast<std::uint8_t>(vector.bincode[at] ^ change);
        const auto decoded = decode(vector, input);
        if (!decoded) continue;
        ++decoded_ones;
        ASSERT_FALSE(*decoded == vector.value) << "byte " << at << ", change " << change;
        ASSERT_EQ(encode(*decoded), input) << "byte " << at << ", change " << change;
      }
    }
    EXPECT_GT(decoded_ones, 0U);
  });
}

RegistrationRequest request() {
  return test::lp_v1().requests[0].value;
}

/// A request's encoding with `value` written at the byte `at`.
template <typename T>
std::optional<Error> with(const RegistrationRequest& value, std::size_t at, T number) {
  Bytes input = encode(value);
  store_le(input.data() + at, number);
  return error_of(decode_request(input));
}

// Where the fields of a request of a 44-character key lie.
constexpr std::size_t signature_length_at = 8 + 44 + 32;
std::size_t ticket_type_at(const RegistrationRequest& value) {
  return signature_length_at + 8 + value.credential.signature.size() + 8 + 8;
}

TEST(RegistrationRequest, TagThatDoesNotExistIsTaken) {
  const auto value = request();
  ASSERT_TRUE(std::holds_alternative<Dvpn>(value.mode));
  const std::size_t type = ticket_type_at(value);
  const std::size_t mode = type + 4;
  const std::size_t address = mode + 4;
  EXPECT_EQ(with(value, type, std::uint32_t{3}), test::no_error);
  for (const std::uint32_t tag : {4U, 0x100U, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(with(value, type, tag), Error::bincode_tag) << tag;
  }
  for (const std::uint32_t tag : {2U, 0x100U, 0xffffffffU}) {
    EXPECT_EQ(with(value, mode, tag), Error::bincode_tag) << tag;
    EXPECT_EQ(with(value, address, tag), Error::bincode_tag) << tag;
  }
}

TEST(RegistrationRequest, LengthThatLiesIsTaken) {
  const auto value = request();
  for (const std::uint64_t length :
       {std::uint64_t{1} << 16, std::uint64_t{1} << 40, std::uint64_t{1} << 63, UINT64_MAX}) {
    EXPECT_EQ(with(value, 0, length), Error::bincode_length) << length;
    EXPECT_EQ(with(value, signature_length_at, length), Error::bincode_length) << length;
  }
}

TEST(RegistrationRequest, KeyThatIsNotUtf8IsTaken) {
  auto value = request();
  value.wg_public_key[5] = '\xff';
  EXPECT_EQ(error_of(decode_request(encode(value))), Error::bincode_utf8);
}

TEST(RegistrationRequest, ExtremesAreLost) {
  RegistrationRequest value = request();
  value.wg_public_key.clear();
  value.credential.signature.clear();
  value.credential.bandwidth_amount = UINT64_MAX;
  value.credential.expiry = UINT64_MAX;
  value.mode = Mixnet{.client_id = {1, 2, 3}};
  value.client_ip = IpV6{.octets = {0xfe, 0x80}};
  value.ticket_type = TicketType::v1_wireguard_exit;
  value.timestamp = UINT64_MAX;
  EXPECT_TRUE(decode_request(encode(value)) == value);
}

TEST(RegistrationResponse, ExtremesAreLost) {
  RegistrationResponse value;
  value.error = "";
  value.allocated_bandwidth = INT64_MIN;
  value.session_id = UINT32_MAX;
  EXPECT_TRUE(decode_response(encode(value)) == value);
  value.error = std::nullopt;
  value.success = true;
  value.gateway_data = GatewayData{.public_key = {ByteArray<32>{9}},
                                   .endpoint = {IpV6{.octets = {1}}, 65535},
                                   .private_ipv4 = {{10, 1, 2, 3}},
                                   .private_ipv6 = {{0xfd}}};
  value.allocated_bandwidth = INT64_MAX;
  EXPECT_TRUE(decode_response(encode(value)) == value);
}

TEST(RegistrationResponse, TagOrTextThatCannotBeIsTaken) {
  RegistrationResponse value;
  value.error = "no";
  Bytes input = encode(value);
  for (const std::size_t at : {0U, 1U, 12U}) {  // success, error, gateway_data
    Bytes other = input;
    other[at] = 2;
    EXPECT_EQ(error_of(decode_response(other)), Error::bincode_tag) << at;
  }
  input[10] = 0xff;
  EXPECT_EQ(error_of(decode_response(input)), Error::bincode_utf8);
}

TEST(WireGuardKey, TextThatIsNoKeyIsTaken) {
  const std::string good = request().wg_public_key;
  const auto key = parse_wg_public_key(good);
  ASSERT_TRUE(key);
  EXPECT_EQ(to_base64(key->bytes), good);

  EXPECT_EQ(error_of(parse_wg_public_key("")), Error::key_size);
  EXPECT_EQ(error_of(parse_wg_public_key(good.substr(1))), Error::key_size);
  EXPECT_EQ(error_of(parse_wg_public_key(good + "\n")), Error::key_size);
  EXPECT_EQ(error_of(parse_wg_public_key(to_base64(Bytes(31)))), Error::key_size);
  EXPECT_EQ(error_of(parse_wg_public_key(to_base64(Bytes(33)))), Error::key_size);
  EXPECT_EQ(error_of(parse_wg_public_key(std::string(44, '='))), Error::base64_invalid);
  // The last character of 32 bytes carries two unused bits: only one of four texts is canonical.
  std::string other = to_base64(ByteArray<32>{});
  ASSERT_TRUE(other.ends_with("AA="));
  other[42] = 'B';
  EXPECT_EQ(error_of(parse_wg_public_key(other)), Error::base64_invalid);
}

TEST(TicketTypes, NameOrModeIsWrong) {
  const std::pair<TicketType, std::string_view> names[] = {
      {TicketType::v1_mixnet_entry, "V1MixnetEntry"},
      {TicketType::v1_mixnet_exit, "V1MixnetExit"},
      {TicketType::v1_wireguard_entry, "V1WireguardEntry"},
      {TicketType::v1_wireguard_exit, "V1WireguardExit"}};
  ASSERT_EQ(std::size(names), ticket_type_count);
  for (const auto& [type, text] : names) {
    EXPECT_EQ(name(type), text);
    EXPECT_EQ(ticket_type_from_name(text), type);
    EXPECT_EQ(is_wireguard(type), text.find("Wireguard") != text.npos);
  }
  EXPECT_EQ(ticket_type_from_name("v1MixnetEntry"), std::nullopt);
  EXPECT_EQ(ticket_type_from_name(""), std::nullopt);
  EXPECT_EQ(name(Mode(Dvpn{})), "dvpn");
  EXPECT_EQ(name(Mode(Mixnet{})), "mixnet");
}

TEST(IpAddresses, TextDoesNotRoundTrip) {
  for (const std::string text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1",
                                 "2001:db8::7", "fd00::2a", "::ffff:192.0.2.1"}) {
    const auto address = ip_address_from_string(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(to_string(*address), text);
  }
  EXPECT_EQ(to_string(SocketAddress{*ip_address_from_string("192.0.2.1"), 51822}),
            "192.0.2.1:51822");
  EXPECT_EQ(to_string(SocketAddress{*ip_address_from_string("2001:db8::1"), 1}), "[2001:db8::1]:1");
}

TEST(IpAddresses, TextThatIsNoAddressIsTaken) {
  for (const std::string& text :
       {std::string(), std::string("1.2.3"), std::string("1.2.3.4.5"), std::string("256.1.1.1"),
        std::string("1.2.3.4 "), std::string(" 1.2.3.4"), std::string("01.2.3.4"),
        std::string("1.2.3.4\0", 8), std::string("1.2.3.4\0x", 9), std::string("::1%lo"),
        std::string("[::1]"), std::string("1::2::3"), std::string("localhost"),
        std::string(4096, '1')}) {
    EXPECT_EQ(ip_address_from_string(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace lp::messages
