// lp-db-maint-bench: what a cleanup costs those who register meanwhile. A real lp-gateway on
// loopback over a database of a million spent tickets and a hundred thousand peers; half of the
// tickets are cleaned up while clients register in a closed loop, which they also do before and
// after, with nobody beside them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lib/crypto/random.h"
#include "tests/system/gateway_process.h"
#include "tests/tools/db_maint/rows.h"

namespace {

using Clock = std::chrono::steady_clock;
using lp::db_maint::test::Rows;

struct Settings {
  int tickets_of_a_peer = 10;  ///< half of them long expired
  int peers = 100'000;
  unsigned clients = 16;
  double seconds = 15;
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

/// Registers with fresh keys until `over`.
Latencies load(const lp::test::GatewayProcess& gateway, const Settings& settings,
               const std::function<bool()>& over) {
  std::vector<std::vector<double>> own(settings.clients);
  std::atomic<std::size_t> failed = 0;
  std::mutex reasons_mutex;
  std::map<std::string, int> reasons;
  const auto begun = Clock::now();
  {
    std::vector<std::jthread> clients;
    for (auto& latencies : own) {
      clients.emplace_back([&] {
        while (!over()) {
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

Latencies load_for(const lp::test::GatewayProcess& gateway, const Settings& settings) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(settings.seconds));
  return load(gateway, settings, [end] { return Clock::now() >= end; });
}

void print(const char* when, const Latencies& all) {
  fmt::print("| {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {} |\n", when,
             static_cast<double>(all.ms.size()) / all.seconds, all.percentile(0.5),
             all.percentile(0.99), all.percentile(1), all.failed);
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
  const auto before = load_for(gateway, settings);
  print("before", before);
  lp::test::Child cleanup({.program = lp::test::program("lp-db-maint"),
                           .args = {"cleanup", "--storage", path.string()}});
  const auto during = load(gateway, settings, [&] { return !cleanup.running(); });
  print("during", during);
  if (cleanup.wait().code != 0) throw std::runtime_error(cleanup.error_output());
  const auto after = load_for(gateway, settings);
  print("after", after);
  fmt::print("\n{}\np99 during to the mean of before and after: {:.2f}\n", cleanup.output(),
             during.percentile(0.99) / ((before.percentile(0.99) + after.percentile(0.99)) / 2));
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
  app.add_option("--seconds", settings.seconds, "Seconds of the loads before and after")
      ->check(CLI::Range(0.1, 600.0));
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
