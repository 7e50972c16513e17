#include "tools/issuer/smart_query.h"

#include <gmock/gmock.h>

#include "lib/base/encoding.h"

namespace lp::issuer {
namespace {

constexpr std::string_view contract = "lp1contract";

std::string path(std::string_view segment, std::string_view of = contract) {
  return std::string(contract_prefix) + std::string(of) + "/smart/" + std::string(segment);
}
std::string encoded(std::string_view query) {
  return to_base64({reinterpret_cast<const std::uint8_t*>(query.data()), query.size()});
}
unsigned status(std::string_view text) {
  const auto checked = check_smart_query(text, contract);
  return checked ? 200 : checked.error().status;
}

TEST(SmartQuery, IsTakenHoweverItIsWritten) {
  EXPECT_EQ(status(path(encoded(R"({"verification_keys":{}})"))), 200U);
  EXPECT_EQ(status(path(encoded(R"( { "verification_keys" : { } } )"))), 200U);
  // One whose base64 has '+', '/' and padding: in both alphabets, escaped and not, without padding.
  const std::string query = R"({"verification_keys":{}}    )";
  ASSERT_TRUE(encoded(query).ends_with("=="));
  EXPECT_EQ(status(path(encoded(query))), 200U);
  std::string bare = encoded(query);
  bare.resize(bare.size() - 2);
  EXPECT_EQ(status(path(bare)), 200U);
  EXPECT_EQ(status(path(bare + "%3D%3d")), 200U);
}

TEST(SmartQuery, OfAnotherContractIsNotFound) {
  const std::string query = encoded(R"({"verification_keys":{}})");
  EXPECT_EQ(status(path(query, "lp1other")), 404U);
  EXPECT_EQ(status(path(query, "")), 404U);
  EXPECT_EQ(status(path(query, "lp1contractt")), 404U);
  EXPECT_EQ(status(std::string(contract_prefix) + "lp1contract"), 404U);
  EXPECT_EQ(status(std::string(contract_prefix) + "lp1contract/raw/" + query), 404U);
  EXPECT_EQ(status(contract_prefix), 404U);
}

TEST(SmartQuery, ThatTheContractDoesNotKnowIsABadRequest) {
  for (const char* query :
       {"", "{}", "[]", "null", "7", R"("verification_keys")", R"({"verification_keys":null})",
        R"({"verification_keys":[]})", R"({"verification_keys":{"a":1}})",
        R"({"verification_keys":{},"b":{}})", R"({"other":{}})", R"({"verification_keys":{})",
        R"([[[[[[[[[[[[]]]]]]]]]]]])"}) {
    EXPECT_EQ(status(path(encoded(query))), 400U) << query;
  }
  for (const char* segment : {"*", "%", "%4", "%zz", "e", "eyJ2%00", "=", "===="})
    EXPECT_EQ(status(path(segment)), 400U) << segment;
}

TEST(SmartQuery, IsRefusedAsANodeRefuses) {
  const auto checked = check_smart_query(path("*"), contract);
  EXPECT_EQ(checked.error().body, R"({"code":3,"message":"the query is no base64","details":[]})"
                                  "\n");
}

}  // namespace
}  // namespace lp::issuer
