// The PostgreSQL that the other tests start: a test that stops it must find it again as it was.

#include "tests/support/postgres_server.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace lp::test {
namespace {

TEST(PostgresServer, IsThereAgainWithItsCommitsAfterAnImmediateStop) {
  if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
  PostgresServer postgres({.tcp = true});
  postgres.create_database("kept");
  postgres.query("kept", "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')");
  const auto url = postgres.url("kept");
  const auto tcp_url = postgres.tcp_url("kept");
  const auto first = postgres.pid();
  postgres.stop(PostgresServer::Stop::immediate);
  EXPECT_FALSE(postgres.running());
  EXPECT_ANY_THROW(postgres.query("kept", "SELECT 1"));
  postgres.start();
  EXPECT_TRUE(postgres.running());
  EXPECT_NE(postgres.pid(), first);
  EXPECT_NE(postgres.log().find("automatic recovery"), std::string::npos) << postgres.log();
  EXPECT_EQ(postgres.url("kept"), url);
  EXPECT_EQ(postgres.tcp_url("kept"), tcp_url);
  EXPECT_EQ(postgres.query("kept", "SELECT a, b FROM t ORDER BY a"), "1|x\n2|y\n");
  postgres.create_database("kept");
  EXPECT_EQ(postgres.query("kept", "SELECT to_regclass('t') IS NULL"), "t\n");
}

}  // namespace
}  // namespace lp::test
