// Binding: several addresses, free ports, and what is said where it cannot be done.
#include <cerrno>

#include "gateway/connection/listening_sockets.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

class BindTest : public ServerTest {};

TEST_F(BindTest, SeveralAddressesShareOnePort) {
  options.bind_addresses = {"127.0.0.1", "::1", "127.0.0.2"};
  start();
  EXPECT_NE(server->port(), 0);
  EXPECT_EQ(server->address(), "127.0.0.1:" + std::to_string(server->port()));
  for (const auto& host : options.bind_addresses) {
    auto client = this->client();
    test::RawConnection connection(host, server->port());
    ASSERT_TRUE(test::shake_hands(connection, client)) << host;
    EXPECT_TRUE(test::register_at(connection, client, test::dvpn_request(clock.now()))) << host;
  }
  ASSERT_EQ(registrar.seen().size(), 3);
  EXPECT_EQ(messages::to_string(registrar.seen()[1].local_address), "::1");
  EXPECT_EQ(messages::to_string(registrar.seen()[2].local_address), "127.0.0.2");
}

TEST_F(BindTest, BothWildcardsGoTogether) {
  options.bind_addresses = {"0.0.0.0", "::"};
  start();
  for (const char* host : {"127.0.0.1", "::1"}) {
    auto client = this->client();
    test::RawConnection connection(host, server->port());
    EXPECT_TRUE(test::shake_hands(connection, client)) << host;
  }
}

TEST_F(BindTest, AnIpv4PeerOfADualStackSocketHasAnIpv4Address) {
  options.bind_addresses = {"::"};
  options.record_sessions = true;
  start();
  EXPECT_EQ(server->address(), "[::]:" + std::to_string(server->port()));
  auto client = this->client();
  test::RawConnection connection("127.0.0.1", server->port());
  ASSERT_TRUE(test::shake_hands(connection, client));
  ASSERT_TRUE(test::register_at(connection, client, test::dvpn_request(clock.now())));
  EXPECT_EQ(messages::to_string(registrar.seen().at(0).local_address), "127.0.0.1");
  EXPECT_EQ(storage.records().at(0).client_ip, "127.0.0.1");
}

TEST_F(BindTest, APortInUseIsNamed) {
  start();
  const auto second = listen_on({"127.0.0.1"}, server->port());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().error_number, EADDRINUSE);
  EXPECT_EQ(second.error().detail, "cannot bind " + server->address() + ": Address already in use");
}

TEST_F(BindTest, AnAddressThatIsNotOursIsNamed) {
  const auto sockets = listen_on({"192.0.2.1"}, 0);
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().error_number, EADDRNOTAVAIL);
  EXPECT_THAT(sockets.error().detail, testing::HasSubstr("192.0.2.1"));
}

TEST_F(BindTest, WhatIsNoAddressIsNamed) {
  const auto sockets = listen_on({"127.0.0.1", "gateway.example"}, 0);
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().detail, "cannot bind \"gateway.example\": not an IP address");
  EXPECT_FALSE(listen_on({}, 0));
}

}  // namespace
}  // namespace lp::gateway::connection
