#include "tools/issuer/values.h"

#include <gmock/gmock.h>

#include "tools/issuer/loopback.h"
#include "tools/issuer/token.h"

#include "lib/ecash/contract_address.h"

namespace lp::issuer {
namespace {

using testing::HasSubstr;

TEST(Duration, IsReadInEveryUnit) {
  const auto read = [](std::string_view text) { return parse_duration(text, 0, 1'000'000); };
  EXPECT_EQ(read("7d"), 604'800U);
  EXPECT_EQ(read("36h"), 129'600U);
  EXPECT_EQ(read("90m"), 5'400U);
  EXPECT_EQ(read("45s"), 45U);
  EXPECT_EQ(read("45"), 45U);
  EXPECT_EQ(read("0s"), 0U);
}

TEST(Duration, ThatIsNoneOrOutOfRangeIsRefused) {
  for (const char* text : {"", "d", "7 d", "-1s", "+1", "1.5h", "7dd", "1w", "0x10", "11", "9",
                           "18446744073709551615d", "213503982334602d", "99999999999999999999s"}) {
    const auto parsed = parse_duration(text, 10, 10);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error(), HasSubstr("from 10s to 10s")) << text;
  }
}

TEST(Allowance, ThatIsNoneIsRefused) {
  EXPECT_EQ(parse_allowance("0"), 0);
  EXPECT_EQ(parse_allowance("1000000000"), 1'000'000'000);
  for (const char* text : {"", "-1", "1000000001", "1e3", " 1", "9999999999999999999999"})
    EXPECT_FALSE(parse_allowance(text)) << text;
}

TEST(TypeAllowances, NameEachTypeOnce) {
  const std::vector<std::string> good{"V1MixnetExit=3", "V1WireguardEntry=0"};
  const auto parsed = parse_type_allowances(good);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->size(), 2U);
  EXPECT_EQ(parsed->at(TicketType::v1_mixnet_exit), 3);
  for (const char* text : {"V1MixnetExit", "v1mixnetexit=3", "=3", "V1MixnetExit=", "V1X=1"}) {
    EXPECT_FALSE(parse_type_allowances(std::vector<std::string>{text})) << text;
  }
  const std::vector<std::string> twice{"V1MixnetExit=3", "V1MixnetExit=3"};
  EXPECT_THAT(parse_type_allowances(twice).error(), HasSubstr("V1MixnetExit twice"));
}

TEST(ContractAddress, IsOneSegmentOfAPath) {
  EXPECT_TRUE(ecash::is_contract_address("n1abc"));
  for (const char* text :
       {"", "ab", "a/b", "a b", "a%2f", "a?b", "..\n", "ä23", "N1abc", "n1-a", "n1_a", "n1.a"})
    EXPECT_FALSE(ecash::is_contract_address(text)) << text;
  EXPECT_FALSE(ecash::is_contract_address(std::string(129, 'a')));
  const std::string made = generate_contract_address();
  EXPECT_TRUE(ecash::is_contract_address(made));
  EXPECT_NE(made, generate_contract_address());
}

TEST(Token, IsTakenFromItsHeaderAlone) {
  EXPECT_EQ(bearer_token("Bearer abc"), "abc");
  EXPECT_EQ(bearer_token("bEARER   abc "), "abc");
  for (const char* header : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"})
    EXPECT_EQ(bearer_token(header), "") << header;
}

TEST(Token, IsRandom) {
  const std::string token = generate_token();
  EXPECT_TRUE(token.starts_with("lpi_"));
  EXPECT_GE(token.size(), 40U);
  EXPECT_NE(token, generate_token());
}

TEST(Loopback, IsNoOtherAddress) {
  const auto of = [](const char* text) {
    return is_loopback(messages::ip_address_from_string(text).value());
  };
  for (const char* text : {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(of(text)) << text;
  for (const char* text : {"0.0.0.0", "128.0.0.1", "::", "::2", "::ffff:10.0.0.1", "::127.0.0.1"})
    EXPECT_FALSE(of(text)) << text;
}

}  // namespace
}  // namespace lp::issuer
