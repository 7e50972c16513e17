// DNS answers: loops, lies, cuts.
#include "probes/tunnel/dns.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"

namespace lp::probe::tunnel {
namespace {

constexpr std::uint16_t id = 0xbeef;
const Question question{"www.Example.org", RecordType::a};

/// A message in the making. Names are given as bytes, so that they can be wrong.
class DnsMessage {
 public:
  DnsMessage() : bytes(make_query(id, question)) { flags(0x8180); }
  DnsMessage& flags(std::uint16_t value) {
    store_be(bytes.data() + 2, value);
    return *this;
  }
  DnsMessage& record(const Bytes& owner, std::uint16_t type, const Bytes& data,
                     std::uint16_t record_class = 1) {
    store_be(bytes.data() + 6,
             static_cast<std::uint16_t>(load_be<std::uint16_t>(bytes.data() + 6) + 1));
    append(owner);
    u16(type);
    u16(record_class);
    append({0, 0, 0, 60});
    u16(static_cast<std::uint16_t>(data.size()));
    append(data);
    return *this;
  }
  void append(const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
  void u16(std::uint16_t value) {
    append({static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
  }
  Bytes bytes;
};

const Bytes the_question{0xc0, 12};  // a pointer to its name
const Bytes address_record{192, 0, 2, 1};

/// "a.b" in labels.
Bytes labels(std::string_view name) {
  Bytes out;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    out.push_back(static_cast<std::uint8_t>(label.size()));
    out.insert(out.end(), label.begin(), label.end());
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  out.push_back(0);
  return out;
}

std::string first_address(const DnsMessage& message) {
  const auto addresses = parse_answer(message.bytes, id, question);
  return addresses ? messages::to_string(addresses->front())
                   : std::string(gloss(addresses.error()));
}

DnsError dns_error_of(const DnsMessage& message) {
  const auto addresses = parse_answer(message.bytes, id, question);
  EXPECT_FALSE(addresses);
  return addresses ? DnsError::not_the_answer : addresses.error();
}

TEST(DnsTest, QueryIsWhatTheRfcDraws) {
  EXPECT_EQ(to_hex(make_query(0x1234, {"nym.com", RecordType::aaaa})),
            "1234"
            "0100"
            "0001"
            "0000"
            "0000"
            "0000"
            "036e796d03636f6d00"
            "001c"
            "0001");
}

TEST(DnsTest, AddressOfTheQuestionIsFound) {
  EXPECT_EQ(first_address(DnsMessage().record(the_question, 1, address_record)), "192.0.2.1");
  EXPECT_EQ(first_address(DnsMessage().record(labels("WWW.eXample.ORG"), 1, address_record)),
            "192.0.2.1");
  const Question v6{"www.example.org", RecordType::aaaa};
  DnsMessage message;
  message.bytes = make_query(id, v6);
  message.flags(0x8180).record(the_question, 28, Bytes(16, 1));
  const auto addresses = parse_answer(message.bytes, id, v6);
  ASSERT_TRUE(addresses);
  EXPECT_EQ(addresses->front(), messages::IpAddress(messages::IpV6{to_array<16>(Bytes(16, 1))}));
}

TEST(DnsTest, AliasesAreFollowedInAnyOrder) {
  EXPECT_EQ(first_address(DnsMessage()
                              .record(labels("b.example"), 1, address_record)
                              .record(labels("a.example"), 5, labels("b.example"))
                              .record(the_question, 5, labels("a.example"))),
            "192.0.2.1");
  // Aliases in a ring have no end, and no address.
  EXPECT_EQ(dns_error_of(DnsMessage()
                             .record(the_question, 5, labels("a.example"))
                             .record(labels("a.example"), 5, the_question)),
            DnsError::no_address);
}

TEST(DnsTest, AddressesOfOtherNamesTypesAndClassesDoNotCount) {
  EXPECT_EQ(dns_error_of(DnsMessage().record(labels("evil.example"), 1, address_record)),
            DnsError::no_address);
  EXPECT_EQ(dns_error_of(DnsMessage().record(the_question, 28, Bytes(16))), DnsError::no_address);
  EXPECT_EQ(dns_error_of(DnsMessage().record(the_question, 1, address_record, 3)),
            DnsError::no_address);
  EXPECT_EQ(dns_error_of(DnsMessage().record(the_question, 1, Bytes(5))), DnsError::no_address);
  EXPECT_EQ(dns_error_of(DnsMessage()), DnsError::no_address);
}

TEST(DnsTest, AnswersToOtherQuestionsAreNotTheAnswer) {
  const auto good = DnsMessage().record(the_question, 1, address_record);
  EXPECT_EQ(parse_answer(good.bytes, id + 1, question).error(), DnsError::not_the_answer);
  EXPECT_EQ(parse_answer(good.bytes, id, {"www.example.net", RecordType::a}).error(),
            DnsError::not_the_answer);
  EXPECT_EQ(parse_answer(good.bytes, id, {"www.example.org", RecordType::aaaa}).error(),
            DnsError::not_the_answer);
  EXPECT_EQ(dns_error_of(DnsMessage().flags(0x0100)), DnsError::not_the_answer) << "a query";
  EXPECT_EQ(parse_answer({}, id, question).error(), DnsError::not_the_answer);
  auto two = good;
  two.bytes[5] = 2;
  EXPECT_EQ(dns_error_of(two), DnsError::not_the_answer);
}

TEST(DnsTest, RefusalsAreToldApart) {
  EXPECT_EQ(dns_error_of(DnsMessage().flags(0x8183)), DnsError::name_unknown);
  EXPECT_EQ(dns_error_of(DnsMessage().flags(0x8182)), DnsError::refused);
  EXPECT_EQ(dns_error_of(DnsMessage().flags(0x8185)), DnsError::refused);
  EXPECT_EQ(dns_error_of(DnsMessage().flags(0x8380)), DnsError::truncated);
  EXPECT_EQ(first_address(DnsMessage().flags(0x8380).record(the_question, 1, address_record)),
            "192.0.2.1")
      << "what came whole may do";
}

TEST(DnsTest, PointersThatLoopOrLeadForwardAreRefused) {
  DnsMessage self;
  const auto at = static_cast<std::uint8_t>(self.bytes.size());
  EXPECT_EQ(dns_error_of(self.record({0xc0, at}, 1, address_record)), DnsError::malformed);
  EXPECT_EQ(dns_error_of(
                DnsMessage().record({0xc0, static_cast<std::uint8_t>(at + 2)}, 1, address_record)),
            DnsError::malformed);
  // Two that point at each other: the second alone leads backwards.
  EXPECT_EQ(dns_error_of(DnsMessage().record({1, 'a', 0xc0, static_cast<std::uint8_t>(at)}, 1,
                                             address_record)),
            DnsError::malformed);
  EXPECT_EQ(dns_error_of(DnsMessage().record({0xff, 0xff}, 1, address_record)),
            DnsError::malformed);
  EXPECT_EQ(dns_error_of(DnsMessage().record({0x40, 0}, 1, address_record)), DnsError::malformed);
}

TEST(DnsTest, NamesEndAt255Bytes) {
  Bytes longest;
  for (int i = 0; i < 5; ++i) {
    longest.push_back(63);
    longest.insert(longest.end(), 63, 'x');
  }
  longest.push_back(0);
  EXPECT_EQ(dns_error_of(DnsMessage().record(longest, 1, address_record)), DnsError::malformed);
}

TEST(DnsTest, EveryCutIsRefusedOrNotTheAnswer) {
  const auto whole = DnsMessage()
                         .record(the_question, 5, labels("a.example"))
                         .record(labels("a.example"), 1, address_record);
  for (std::size_t size = 0; size < whole.bytes.size(); ++size)
    EXPECT_FALSE(parse_answer(ByteView(whole.bytes).first(size), id, question)) << size;
  EXPECT_EQ(first_address(whole), "192.0.2.1");
}

TEST(DnsTest, AliasMustFillItsRecord) {
  auto target = labels("a.example");
  target.push_back(0);
  EXPECT_EQ(dns_error_of(DnsMessage().record(the_question, 5, target)), DnsError::malformed);
  EXPECT_EQ(dns_error_of(DnsMessage().record(the_question, 5, {3, 'a'})), DnsError::malformed);
}

TEST(DnsTest, FlippedBitsAndRandomBytesEndQuickly) {
  ASSERT_TRUE(crypto::initialise());
  const auto good = DnsMessage()
                        .record(the_question, 5, labels("a.example"))
                        .record(labels("a.example"), 1, address_record);
  for (std::size_t bit = 0; bit < good.bytes.size() * 8; ++bit) {
    auto changed = good.bytes;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    (void)parse_answer(changed, id, question);
  }
  for (int i = 0; i < 20'000; ++i) {
    auto message = make_query(id, question);
    store_be(message.data() + 2, std::uint16_t{0x8180});
    const std::size_t head = message.size();
    message.resize(head + 120);
    crypto::random_bytes(MutableByteView(message).subspan(head));
    message[7] = 40;
    (void)parse_answer(message, id, question);
  }
}

TEST(DnsTest, OnlyHostNamesAreAskedFor) {
  for (const char* good : {"nym.com", "a", "a-b.c_d.e1", "x.y.z"})
    EXPECT_TRUE(is_host_name(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("a..b"), std::string("a."), std::string(".a"),
        std::string("a b"), std::string("a\nb"), std::string(64, 'a'), std::string(254, 'a'),
        std::string("\xc3\xa4.de")}) {
    EXPECT_FALSE(is_host_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace lp::probe::tunnel
