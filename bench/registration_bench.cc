// lp-registration-bench: registrations per second, latency and CPU time at a real lp-gateway on
// loopback, with mock e-cash and durable SQLite, beside a gateway that commits each registration by
// itself. Rounds alternate between the two, so that both see the same machine.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "probes/client/lp_registration_client.h"
#include "tests/support/process.h"

namespace {

using Clock = std::chrono::steady_clock;
using lp::probe::client::Endpoint;
using lp::probe::client::LpRegistrationClient;

struct Settings {
  int rounds = 3;
  double seconds = 5;
  unsigned concurrency = 64;
};

/// A gateway with a database of its own, and what it costs.
class Gateway {
 public:
  explicit Gateway(const std::string& program) {
    const auto data = (dir_ / "gateway").string();
    const auto made = lp::test::run(
        {.program = lp::test::program(program), .args = {"init", "--data-dir", data}});
    const auto identity = made.output.substr(0, made.output.find('\n'));
    key_ = lp::crypto::Identity::from_base58(identity).value().to_x25519().value();
    child_.emplace(lp::test::ChildOptions{.program = lp::test::program(program),
                                          .args = {"run",
                                                   "--data-dir",
                                                   data,
                                                   "--bind-address",
                                                   "127.0.0.1",
                                                   "--control-port",
                                                   "0",
                                                   "--http-address",
                                                   "127.0.0.1",
                                                   "--http-port",
                                                   "0",
                                                   "--use-mock-ecash",
                                                   "--max-connections-per-address",
                                                   "0",
                                                   "--ipv4-pool",
                                                   "10.0.0.0/8",
                                                   "--ipv6-pool",
                                                   "fd00::/100",
                                                   "--log-level",
                                                   "error"}});
    const auto ready = child_->read_line().value_or("");
    const auto colon = ready.find(':');
    if (colon == std::string::npos) throw std::runtime_error(child_->error_output());
    endpoint_ = Endpoint::from_literal(
        "127.0.0.1", static_cast<std::uint16_t>(std::stoul(ready.substr(colon + 1))));
  }

  [[nodiscard]] const lp::crypto::X25519Public& key() const { return key_; }
  [[nodiscard]] const Endpoint& endpoint() const { return *endpoint_; }

  /// User and system time so far.
  [[nodiscard]] double cpu_seconds() const {
    std::ifstream file("/proc/" + std::to_string(child_->pid()) + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i)
      fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  lp::test::TempDir dir_;
  lp::crypto::X25519Public key_;
  std::optional<lp::test::Child> child_;
  std::optional<Endpoint> endpoint_;
};

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

lp::messages::RegistrationRequest fresh_request() {
  lp::messages::RegistrationRequest request;
  lp::ByteArray<32> key;
  lp::crypto::random_bytes(key);
  request.wg_public_key = lp::to_base64(key);
  lp::crypto::random_bytes(request.credential.nullifier);
  request.credential.signature = lp::Bytes(48, 0x55);
  request.credential.bandwidth_amount = 500'000'000;
  request.timestamp = lp::SystemWallClock().now();
  request.credential.expiry = request.timestamp + 86'400;
  request.mode = lp::messages::Dvpn{};
  request.client_ip = lp::messages::IpV4{{127, 0, 0, 1}};
  return request;
}

/// One registration; false where it did not succeed.
bool register_once(const Gateway& gateway) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  LpRegistrationClient client(gateway.key());
  if (!client.connect(gateway.endpoint(), deadline)) return false;
  if (!client.perform_handshake(deadline)) return false;
  if (!client.send_registration_request(fresh_request(), deadline)) return false;
  const auto response = client.receive_registration_response(deadline);
  return response && response->success;
}

struct Result {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double gateway_us = 0;  ///< CPU time a registration
  double client_us = 0;
  std::size_t failed = 0;
};

double percentile_ms(const std::vector<double>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(fraction * last)] * 1e3;
}

/// A closed loop: each of `concurrency` clients registers again as soon as it is answered.
Result measure(const Gateway& gateway, unsigned concurrency, double seconds) {
  std::vector<std::vector<double>> latencies(concurrency);
  std::atomic<std::size_t> failed = 0;
  const double gateway_before = gateway.cpu_seconds();
  const double client_before = own_cpu_seconds();
  const auto begin = Clock::now();
  const auto end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  {
    std::vector<std::jthread> clients;
    clients.reserve(latencies.size());
    for (auto& own : latencies) {
      clients.emplace_back([&] {
        while (Clock::now() < end) {
          const auto started = Clock::now();
          if (register_once(gateway)) {
            own.push_back(std::chrono::duration<double>(Clock::now() - started).count());
          } else {
            ++failed;
          }
        }
      });
    }
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<double> all;
  for (const auto& own : latencies)
    all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  const auto count = static_cast<double>(std::max<std::size_t>(all.size(), 1));
  return {.per_second = static_cast<double>(all.size()) / elapsed,
          .p50_ms = percentile_ms(all, 0.50),
          .p99_ms = percentile_ms(all, 0.99),
          .gateway_us = (gateway.cpu_seconds() - gateway_before) / count * 1e6,
          .client_us = (own_cpu_seconds() - client_before) / count * 1e6,
          .failed = failed};
}

void print(const std::string& name, unsigned concurrency, const Result& result) {
  fmt::print("| {} | {} | {:.0f} | {:.2f} | {:.2f} | {:.0f} | {:.0f} | {} |\n", name, concurrency,
             result.per_second, result.p50_ms, result.p99_ms, result.gateway_us, result.client_us,
             result.failed);
}

int run(const Settings& settings) {
  const Gateway shared("lp-gateway");
  const Gateway each("lp-gateway-commit-each");
  (void)measure(shared, 1, 0.2);
  (void)measure(each, 1, 0.2);
  fmt::print(
      "| commit | clients | registrations/s | p50 ms | p99 ms | gateway CPU µs | client CPU µs | "
      "failed |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  double best_shared = 0;
  double best_each = 0;
  for (int round = 0; round < settings.rounds; ++round) {
    for (const unsigned concurrency : {1U, settings.concurrency}) {
      const auto one = measure(shared, concurrency, settings.seconds);
      print("shared", concurrency, one);
      const auto other = measure(each, concurrency, settings.seconds);
      print("each", concurrency, other);
      if (concurrency == 1) continue;
      best_shared = std::max(best_shared, one.per_second);
      best_each = std::max(best_each, other.per_second);
    }
  }
  fmt::print("\nshared to each, {} clients, ratio of maxima: {:.1f}\n", settings.concurrency,
             best_shared / best_each);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Registrations at a real lp-gateway on loopback, measured");
  app.add_option("--rounds", settings.rounds, "Rounds")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", settings.seconds, "Seconds of each measurement")
      ->check(CLI::Range(0.1, 600.0));
  app.add_option("--concurrency", settings.concurrency, "Clients at one time")
      ->check(CLI::Range(2U, 4096U));
  CLI11_PARSE(app, argc, argv);
  if (!lp::crypto::initialise()) return 70;
  try {
    return run(settings);
  } catch (const std::exception& error) {
    std::cerr << "lp-registration-bench: " << error.what() << '\n';
    return 69;
  }
}
