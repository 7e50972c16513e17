// lp-db-maint-bench: what a cleanup costs those who register meanwhile. A real lp-gateway on
// loopback over a database of a million spent tickets and a hundred thousand peers, of whose
// tickets half are to be cleaned up; clients register in a closed loop, by turns beside a cleanup
// and alone.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lib/crypto/random.h"
#include "tests/gateway/storage/fixture.h"
#include "tests/system/gateway_process.h"

namespace {

using Clock = std::chrono::steady_clock;
using lp::gateway::storage::test::Rows;

struct Settings {
  int tickets_of_a_peer = 10;  ///< half of them long expired
  int peers = 100'000;
  unsigned clients = 16;
  int rounds = 10;
  double seconds = 5;
  double settle = 30;
  int pause_ms = 0;
};

void fill(const std::filesystem::path& path, const Settings& settings) {
  Rows rows(path);
  rows.execute(fmt::format(
      "BEGIN;"
      "CREATE TEMP TABLE n (i INTEGER PRIMARY KEY, key BLOB);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})"
      " INSERT INTO temp.n SELECT i, randomblob(32) FROM n;"
      "INSERT INTO clients (id, kind) SELECT i, 'wireguard' FROM temp.n;"
      "INSERT INTO wireguard_peers (id, public_key, ticket_type, private_ipv4, private_ipv6,"
      " created_at) SELECT i, key, 'V1WireguardEntry',"
      " format('10.%d.%d.%d', (i + 1) >> 16, ((i + 1) >> 8) & 255, (i + 1) & 255),"
      " format('fd00::%x:%x', (i + 1) >> 16, (i + 1) & 65535), unixepoch() - 5000000 FROM temp.n;"
      "INSERT INTO bandwidth SELECT i, 1000 * {1}, 0, 1000 * {1}, unixepoch() FROM temp.n;"
      "COMMIT",
      settings.peers, settings.tickets_of_a_peer));
  // Ticket by ticket in the order of their time, as a gateway writes them.
  for (int ticket = 0; ticket < settings.tickets_of_a_peer; ++ticket) {
    const bool old = ticket < settings.tickets_of_a_peer / 2;
    rows.execute(fmt::format(
        "INSERT INTO spent_credentials SELECT randomblob(32), unixepoch() {0}, unixepoch() {1},"
        " 1000, 'dvpn', key, i FROM temp.n",
        old ? "- 3456000" : "+ 604800", old ? "- 3500000" : "- 3600"));
  }
  rows.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

struct Latencies {
  std::vector<double> ms;  ///< sorted
  double seconds = 0;
  std::size_t failed = 0;

  void add(const Latencies& more) {
    ms.insert(ms.end(), more.ms.begin(), more.ms.end());
    std::ranges::sort(ms);
    seconds += more.seconds;
    failed += more.failed;
  }
  [[nodiscard]] double percentile(double fraction) const {
    if (ms.empty()) return 0;
    return ms[static_cast<std::size_t>(fraction * static_cast<double>(ms.size() - 1))];
  }
};

std::uint64_t random_number() {
  lp::ByteArray<8> bytes;
  lp::crypto::random_bytes(bytes);
  return lp::load_le<std::uint64_t>(bytes.data());
}

/// Registers with fresh keys for the settings' time.
Latencies load_for(const lp::test::GatewayProcess& gateway, const Settings& settings) {
  std::vector<std::vector<double>> own(settings.clients);
  std::atomic<std::size_t> failed = 0;
  std::mutex reasons_mutex;
  std::map<std::string, int> reasons;
  const auto begun = Clock::now();
  const auto end = begun + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(settings.seconds));
  {
    std::vector<std::jthread> clients;
    clients.reserve(own.size());
    for (auto& latencies : own) {
      clients.emplace_back([&] {
        while (Clock::now() < end) {
          const auto number = random_number();
          const auto request = lp::test::request(number, number);
          const auto started = Clock::now();
          const auto answer = lp::test::register_once(gateway.port(), gateway.lp_key(), request);
          if (answer && answer->success) {
            latencies.push_back(
                std::chrono::duration<double, std::milli>(Clock::now() - started).count());
          } else {
            ++failed;
            const std::lock_guard lock(reasons_mutex);
            ++reasons[answer ? answer->error.value_or("") : "no answer"];
          }
          std::this_thread::sleep_for(std::chrono::milliseconds(settings.pause_ms));
        }
      });
    }
  }
  Latencies all;
  all.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  all.failed = failed;
  for (const auto& [reason, times] : reasons)
    std::cerr << times << " failed: " << reason << '\n';
  for (const auto& latencies : own)
    all.ms.insert(all.ms.end(), latencies.begin(), latencies.end());
  std::ranges::sort(all.ms);
  return all;
}

void print(const char* when, const Latencies& all) {
  fmt::print("| {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {} |\n", when,
             static_cast<double>(all.ms.size()) / all.seconds, all.percentile(0.5),
             all.percentile(0.99), all.percentile(1), all.failed);
}

lp::test::ChildOptions cleanup_options(const std::filesystem::path& path) {
  return {.program = lp::test::program("lp-db-maint"),
          .args = {"cleanup", "--storage", path.string()}};
}

int run(const Settings& settings) {
  lp::test::GatewayProcess::Options options;
  options.flags = {"--ipv4-pool",
                   "10.0.0.0/14",
                   "--ipv6-pool",
                   "fd00::/108",
                   "--max-connections-per-address",
                   "0"};
  lp::test::GatewayProcess gateway(options);
  const auto path = gateway.data() / "gateway" / "gateway.sqlite";
  if (gateway.stop() != 0) throw std::runtime_error("lp-gateway did not stop");
  fill(path, settings);
  gateway.start();
  // The disk is still busy with what was filled in.
  (void)load_for(
      gateway,
      {.clients = settings.clients, .seconds = settings.settle, .pause_ms = settings.pause_ms});

  fmt::print("{} spent tickets, {} peers, {} clients\n\n",
             settings.peers * settings.tickets_of_a_peer, settings.peers, settings.clients);
  fmt::print(
      "| | registrations/s | p50 ms | p99 ms | max ms | failed |\n"
      "| --- | --- | --- | --- | --- | --- |\n");
  // By turns, so that what else the machine does meets both alike.
  Latencies alone;
  Latencies beside;
  for (int round = 0; round < settings.rounds; ++round) {
    alone.add(load_for(gateway, settings));
    lp::test::Child cleanup(cleanup_options(path));
    beside.add(load_for(gateway, settings));
    if (!cleanup.running()) throw std::runtime_error("the cleanup is over: fewer --rounds");
    cleanup.send_signal(SIGINT);
    (void)cleanup.wait();
  }
  print("alone", alone);
  print("beside a cleanup", beside);
  fmt::print("\np99 beside a cleanup to alone: {:.2f}\nthe rest of the cleanup, without load:\n{}",
             beside.percentile(0.99) / alone.percentile(0.99),
             lp::test::run(cleanup_options(path), std::chrono::minutes(10)).output);
  if (gateway.stop() != 0) throw std::runtime_error("lp-gateway did not stop");
  const auto checked = lp::test::run(
      {.program = lp::test::program("lp-db-maint"), .args = {"check", "--storage", path.string()}},
      std::chrono::minutes(5));
  fmt::print("check: {}", checked.output);
  return checked.ended.code.value_or(70);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("A cleanup beside registrations at a real lp-gateway on loopback, measured");
  app.add_option("--peers", settings.peers, "Peers, with ten tickets each")
      ->check(CLI::Range(10, 260'000));
  app.add_option("--clients", settings.clients, "Clients at one time")->check(CLI::Range(1U, 256U));
  app.add_option("--seconds", settings.seconds, "Seconds of each load")
      ->check(CLI::Range(0.1, 600.0));
  app.add_option("--rounds", settings.rounds, "Loads alone and beside a cleanup, each")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--settle", settings.settle, "Seconds of load that are not measured")
      ->check(CLI::Range(0.1, 600.0));
  app.add_option("--pause", settings.pause_ms, "Milliseconds a client waits between registrations")
      ->check(CLI::Range(0, 10'000));
  CLI11_PARSE(app, argc, argv);
  if (!lp::crypto::initialise()) return 70;
  try {
    return run(settings);
  } catch (const std::exception& error) {
    std::cerr << "lp-db-maint-bench: " << error.what() << '\n';
    return 69;
  }
}
