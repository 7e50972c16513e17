// A real PostgreSQL for a test: a cluster in a temporary directory, on a Unix socket of its own,
// without a password. It is Debian's server, the newest that is installed; where there is none the
// test says so and is skipped:
//
//   if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
//   PostgresServer postgres;
//   postgres.create_database("one");
//   open_postgres({.url = postgres.url("one"), …});
//
// Making a cluster takes a second: a program needs one of them and many databases. The first one of
// a build is kept beside its programs, and the others are copies of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.h"

namespace lp::test {

class PostgresServer {
 public:
  /// Certificate and key, PEM.
  struct Tls {
    std::string certificate;
    std::string key;
  };
  struct Options {
    /// fsync=on, for tests that kill it. A crash of the server alone loses nothing without.
    bool durable = false;
    /// Listens on a free port of 127.0.0.1 besides. Another process may take the port while the
    /// server is stopped.
    bool tcp = false;
    /// Speaks TLS with those who ask for it; only with `tcp`.
    std::optional<Tls> tls = std::nullopt;
    /// Lines for the beginning of pg_hba.conf: "local all guarded scram-sha-256". What they do not
    /// match is trusted.
    std::vector<std::string> access = {};
    /// "max_connections=20"
    std::vector<std::string> settings = {};
  };

  /// Whether this machine has a server.
  [[nodiscard]] static bool installed();
  static constexpr std::string_view not_installed =
      "NOT RUN: no PostgreSQL server here (scripts/install-deps test)";

  /// Makes the cluster and starts the server. Throws where that fails.
  PostgresServer() : PostgresServer(Options{}) {}
  explicit PostgresServer(Options options);
  /// Immediate stop. A test that crashes takes the server with it as well, which then removes its
  /// shared memory; the temporary directory stays, as with any TempDir.
  ~PostgresServer();

  /// "postgresql://lp@/DATABASE?host=DIRECTORY&port=5432". `lp` is a superuser.
  [[nodiscard]] std::string url(std::string_view database = "postgres",
                                std::string_view user = "lp") const;
  /// "postgresql://lp@127.0.0.1:PORT/DATABASE"; only with `tcp`.
  [[nodiscard]] std::string tcp_url(std::string_view database = "postgres",
                                    std::string_view user = "lp") const;

  /// An empty database; the one of that name before it is dropped.
  void create_database(std::string_view name);
  /// Runs SQL with psql, and throws where that fails. The rows: a line for each, columns separated
  /// by |.
  std::string query(std::string_view database, std::string_view sql) const;

  /// fast: connections are ended and all is written. immediate: as in a crash, with recovery at the
  /// next start.
  enum class Stop : std::uint8_t { fast, immediate };
  void stop(Stop how);
  /// Starts it again, with the same URLs, and waits until it serves.
  void start();
  [[nodiscard]] bool running() const;
  /// The postmaster's.
  [[nodiscard]] pid_t pid() const;
  /// All that the server has logged since it was started last.
  [[nodiscard]] std::string log() const;

 private:
  void make_cluster();
  [[nodiscard]] ChildOptions command(std::string_view name, std::vector<std::string> args) const;

  Options options_;
  TempDir dir_;
  std::optional<uid_t> user_;
  std::uint16_t tcp_port_ = 0;
  std::unique_ptr<Child> child_;
};

}  // namespace lp::test
