// `lp-gateway peers`: the real program, asked by the real program.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <boost/json.hpp>
#include <future>

#include "gateway/storage/sqlite_storage.h"
#include "lib/base/encoding.h"
#include "tests/gateway/app/gateway_process.h"
#include "tests/gateway/storage/fixture.h"

namespace lp::gateway::app {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
namespace json = boost::json;

class Peers : public GatewayProcess {
 protected:
  void SetUp() override { init(); }

  /// Clients of before this gateway's start, in the order of their numbers.
  void fill(std::uint64_t count) {
    auto storage = storage::open_sqlite({.path = in_data_dir("gateway.sqlite"),
                                         .ipv4_pool = "10.1.0.0/16",
                                         .ipv6_pool = "fd00::/112"});
    ASSERT_TRUE(storage) << storage.error().detail;
    std::vector<std::promise<bool>> done(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      (*storage)->accept_ticket(
          storage::test::ticket(storage::test::wireguard_owner(i), i),
          [&done, i](auto accepted) { done[i].set_value(accepted.has_value()); });
    }
    for (auto& each : done)
      ASSERT_TRUE(each.get_future().get());
  }
  static std::string key(std::uint64_t number) {
    return to_base64(storage::test::wireguard_owner(number).key);
  }
  test::Finished peers(const std::vector<std::string>& args) {
    return command(std::vector<std::string>{"peers"} + args);
  }
  json::object peers_json(std::vector<std::string> args) {
    args.insert(args.end(), {"--format", "json"});
    const auto finished = peers(args);
    EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
    boost::system::error_code error;
    auto value = json::parse(finished.output, error);
    EXPECT_FALSE(error) << finished.output;
    return value.is_object() ? value.get_object() : json::object();
  }
  void start_faulty(std::string_view script) {
    test::write_file(script_, script);
    test::ChildOptions options = run_options();
    options.program = test::program("lp-gateway-faulty");
    options.environment = {{"LP_TEST_WIREGUARD_SCRIPT", script_.string()}};
    gateway_.emplace(options);
    ASSERT_TRUE(gateway_->read_line()) << gateway_->error_output();
  }

  std::filesystem::path script_ = dir_ / "script";
};

TEST_F(Peers, ListLeavesOutOneOrMixesThemUp) {
  constexpr std::uint64_t count = 2'345;  // three pages
  fill(count);
  start();
  const auto all = peers_json({"list"});
  const auto& rows = all.at("peers").as_array();
  ASSERT_EQ(rows.size(), count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto& row = rows[i].as_object();
    ASSERT_EQ(row.at("public_key").as_string(), key(i));
    ASSERT_EQ(row.at("state").as_string(), "active");
  }
  const auto& first = rows[0].as_object();
  EXPECT_EQ(first.at("private_ipv4").as_string(), "10.1.0.2");
  EXPECT_EQ(first.at("private_ipv6").as_string(), "fd00::2");
  EXPECT_EQ(first.at("ticket_type").as_string(), "V1WireguardEntry");
  EXPECT_EQ(first.at("available").as_int64(), storage::test::ticket_amount);
  EXPECT_EQ(first.at("used").as_int64(), 0);
  EXPECT_EQ(first.at("credited").as_int64(), storage::test::ticket_amount);
  EXPECT_TRUE(first.at("last_seen").is_null());

  EXPECT_EQ(peers_json({"list", "--limit", "1001"}).at("peers").as_array().size(), 1'001U);
  const auto text = peers({"list", "--limit=2"});
  EXPECT_EQ(text.ended.code, 0);
  EXPECT_THAT(text.output, StartsWith("PUBLIC KEY "));
  EXPECT_EQ(std::ranges::count(text.output, '\n'), 3);
  EXPECT_THAT(text.output, HasSubstr('\n' + key(0) + " 10.1.0.2 "));
  EXPECT_THAT(text.output, HasSubstr('\n' + key(1) + " 10.1.0.3 "));
}

TEST_F(Peers, ShowKnowsNothingOfWireguard) {
  fill(2);
  start();
  const auto peer = peers_json({"show", key(1)});
  EXPECT_EQ(peer.at("public_key").as_string(), key(1));
  const auto& device = peer.at("wireguard").as_object();
  EXPECT_TRUE(device.at("answers").as_bool());
  EXPECT_TRUE(device.at("has_peer").as_bool());
  EXPECT_TRUE(device.at("settings_match").as_bool());
  const auto text = peers({"show", key(1)});
  EXPECT_THAT(text.output, HasSubstr("\nprivate_ipv4: 10.1.0.3\n"));
  EXPECT_THAT(text.output, HasSubstr("\nwireguard:\n  answers: true\n  has_peer: true\n"));
}

TEST_F(Peers, RemovedOneIsStillThere) {
  fill(3);
  start();
  const auto removed = peers({"remove", key(1)});
  EXPECT_EQ(removed.ended.code, 0) << removed.error_output;
  EXPECT_EQ(removed.output,
            "removed from the database; WireGuard has confirmed that the peer is gone\n");
  EXPECT_EQ(status("  peers"), "2");
  EXPECT_EQ(status("  pending_removals"), "0");
  EXPECT_THAT(peers({"list"}).output, Not(HasSubstr(key(1))));
  for (const char* verb : {"remove", "show"}) {
    const auto again = peers({verb, key(1)});
    EXPECT_EQ(again.ended.code, 69);
    EXPECT_EQ(again.output, "");
    EXPECT_EQ(again.error_output, "lp-gateway: the database has no peer with this key\n");
  }
  gateway_->send_signal(SIGTERM);
  ASSERT_EQ(gateway_->wait().code, 0);
  storage::test::expect_invariants(in_data_dir("gateway.sqlite"));
  storage::test::Rows rows(in_data_dir("gateway.sqlite"));
  EXPECT_EQ(rows.count("clients"), 2);
  EXPECT_EQ(rows.count("spent_credentials"), 3);
  EXPECT_EQ(rows.count("wireguard_removals"), 0);
  EXPECT_EQ(rows.integer("SELECT count(*) FROM spent_credentials WHERE client_id IS NULL"), 1);
}

TEST_F(Peers, RemovalThatWireguardDidNotConfirmIsForgotten) {
  fill(2);
  start_faulty("");
  ASSERT_EQ(status("  peers"), "2");
  test::write_file(script_, "remove * down\nlist * down\n");
  const auto removed = peers_json({"remove", key(1)});
  EXPECT_TRUE(removed.at("existed").as_bool());
  EXPECT_FALSE(removed.at("wireguard_confirmed").as_bool());
  EXPECT_NE(removed.at("wireguard_error").as_string(), "");
  const auto again = peers({"remove", key(1)});
  EXPECT_EQ(again.ended.code, 0);
  EXPECT_THAT(again.output, StartsWith("was removed from the database before; WireGuard has not "
                                       "confirmed yet ("));
  while (status("  pending_removals") != "1") {
  }
  EXPECT_EQ(status("  peers"), "2");
  test::write_file(script_, "");
  while (status("  pending_removals") != "0") {
  }
  EXPECT_EQ(status("  peers"), "1");
}

TEST_F(Peers, AWordThatIsNoKeyReachesTheGateway) {
  for (const char* verb : {"show", "remove"}) {
    for (const std::string& word : {std::string("not-a-key"), std::string(44, 'A') + "AAAA",
                                    key(1).substr(0, 43), std::string()}) {
      const auto refused = peers({verb, word});
      EXPECT_EQ(refused.ended.code, 64) << word;
      EXPECT_EQ(refused.output, "");
      EXPECT_THAT(refused.error_output, HasSubstr("44 characters of base64"));
    }
    EXPECT_EQ(peers({verb}).ended.code, 64);
  }
  EXPECT_EQ(peers({}).ended.code, 64);
  EXPECT_EQ(peers({"list", "--format", "xml"}).ended.code, 64);
  EXPECT_EQ(peers({"list", "--limit", "-1"}).ended.code, 64);
  EXPECT_EQ(peers({"list", "extra"}).ended.code, 64);
}

TEST_F(Peers, AreInventedWithoutAGateway) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"list"},
                                               {"list", "--json"},
                                               {"show", key(1)},
                                               {"remove", key(1)}}) {
    const auto finished = peers(args);
    EXPECT_EQ(finished.ended.code, 69) << testing::PrintToString(args);
    EXPECT_EQ(finished.output, "");
    EXPECT_THAT(finished.error_output, HasSubstr("control.sock: no gateway answers there"));
  }
}

}  // namespace
}  // namespace lp::gateway::app
