// lp-registration-bench: registrations per second, latency and CPU time at real gateways on
// loopback with durable SQLite: real tickets beside mock e-cash, or the gateway as it is beside one
// that commits each registration by itself. Both of a pair run at the same time, and rounds
// alternate between them, so that both see the same machine (docs/performance.md, "Registrations").
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "bench/median.h"
#include "bench/registration_gateway.h"
#include "bench/registration_tickets.h"
#include "lib/crypto/random.h"
#include "probes/client/lp_registration_client.h"
#include "tests/lib/net/scripted_server.h"

namespace lp::bench {
namespace {

using Clock = std::chrono::steady_clock;
using probe::client::LpRegistrationClient;

struct Settings {
  int rounds = 3;
  double seconds = 5;
  unsigned concurrency = 64;
  bool real_tickets = false;
};

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One registration; false where it did not succeed.
bool register_once(const Gateway& gateway, const messages::RegistrationRequest& request) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  LpRegistrationClient client(gateway.key());
  if (!client.connect(gateway.endpoint(), deadline)) return false;
  if (!client.perform_handshake(deadline)) return false;
  if (!client.send_registration_request(request, deadline)) return false;
  const auto response = client.receive_registration_response(deadline);
  return response && response->success;
}

struct Result {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double gateway_us = 0;  ///< CPU time a registration
  double client_us = 0;
  double batch = 0;  ///< tickets in a verification, on average; 0 where nothing is verified
  std::size_t failed = 0;
};

double percentile_ms(const std::vector<double>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(fraction * last)] * 1e3;
}

/// A closed loop: each of `concurrency` clients registers again as soon as it is answered, until
/// the time is over or no request is left.
Result measure(const Gateway& gateway, const std::vector<messages::RegistrationRequest>& requests,
               unsigned concurrency, double seconds) {
  std::vector<std::vector<double>> latencies(concurrency);
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> failed = 0;
  const auto batches_before = gateway.batches();
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
          const std::size_t mine = next++;
          if (mine >= requests.size()) return;
          const auto started = Clock::now();
          if (register_once(gateway, requests[mine])) {
            own.push_back(std::chrono::duration<double>(Clock::now() - started).count());
          } else {
            ++failed;
          }
        }
      });
    }
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  const double client_us = own_cpu_seconds() - client_before;
  const double gateway_us = gateway.cpu_seconds() - gateway_before;
  std::vector<double> all;
  for (const auto& own : latencies)
    all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  const auto count = static_cast<double>(std::max<std::size_t>(all.size(), 1));
  const auto batches = gateway.batches();
  const double verified = batches.count - batches_before.count;
  return {.per_second = static_cast<double>(all.size()) / elapsed,
          .p50_ms = percentile_ms(all, 0.50),
          .p99_ms = percentile_ms(all, 0.99),
          .gateway_us = gateway_us / count * 1e6,
          .client_us = client_us / count * 1e6,
          .batch = verified > 0 ? (batches.tickets - batches_before.tickets) / verified : 0,
          .failed = failed};
}

/// One of a pair: a gateway, and the requests that it takes.
struct Contender {
  std::string name;
  const Gateway& gateway;
  const Authority* authority = nullptr;
  std::map<unsigned, std::vector<double>> rates{};  ///< by number of clients
};

/// Enough for a measurement unless the machine has become half as fast again: they are made before
/// it, for a ticket takes an eighth of a millisecond to sign.
std::size_t requests_needed(const Contender& contender, unsigned concurrency, double seconds) {
  const auto known = contender.rates.find(concurrency);
  const double guess = concurrency == 1 ? 1'500 : 5'000;
  const double rate = known == contender.rates.end() ? guess : 1.5 * known->second.back();
  return static_cast<std::size_t>(std::ceil(rate * seconds)) + concurrency;
}

Result measure(Contender& contender, unsigned concurrency, double seconds) {
  const auto requests = make_requests(requests_needed(contender, concurrency, seconds),
                                      contender.gateway.identity(), contender.authority);
  const auto result = measure(contender.gateway, requests, concurrency, seconds);
  contender.rates[concurrency].push_back(result.per_second);
  fmt::print("| {} | {} | {:.0f} | {:.2f} | {:.2f} | {:.0f} | {:.0f} | {:.1f} | {} |\n",
             contender.name, concurrency, result.per_second, result.p50_ms, result.p99_ms,
             result.gateway_us, result.client_us, result.batch, result.failed);
  std::fflush(stdout);
  return result;
}

/// Whether every registration succeeded.
bool compare(const Settings& settings, Contender first, Contender second) {
  for (const auto* contender : {&first, &second}) {
    const auto requests = make_requests(200, contender->gateway.identity(), contender->authority);
    (void)measure(contender->gateway, requests, 1, 0.2);
  }
  fmt::print(
      "| | clients | registrations/s | p50 ms | p99 ms | gateway CPU µs | client CPU µs | tickets "
      "a "
      "verification | failed |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  std::size_t failed = 0;
  const std::vector<unsigned> clients{1, settings.concurrency};
  for (int round = 0; round < settings.rounds; ++round) {
    for (const unsigned concurrency : clients) {
      failed += measure(first, concurrency, settings.seconds).failed;
      failed += measure(second, concurrency, settings.seconds).failed;
    }
  }
  for (const unsigned concurrency : clients) {
    const double one = median(first.rates.at(concurrency));
    const double other = median(second.rates.at(concurrency));
    fmt::print("\n{} clients, medians: {} {:.0f}/s, {} {:.0f}/s; {} to {}: {:.2f}\n", concurrency,
               first.name, one, second.name, other, first.name, second.name, one / other);
  }
  if (failed > 0) fmt::print(stderr, "lp-registration-bench: {} registrations failed\n", failed);
  return failed == 0;
}

bool run(const Settings& settings) {
  const std::vector<std::string> mock{"--use-mock-ecash"};
  const Gateway shared("lp-gateway", mock);
  if (!settings.real_tickets) {
    const Gateway each("lp-gateway-commit-each", mock);
    return compare(settings, {.name = "shared", .gateway = shared},
                   {.name = "each", .gateway = each});
  }
  const Authority authority;
  const test::ScriptedServer chain(
      test::ScriptedServer::answer(test::ScriptedServer::response(authority.verification_keys())));
  const Gateway real("lp-gateway", {"--chain-url", fmt::format("http://127.0.0.1:{}", chain.port()),
                                    "--ecash-contract", "n1bench"});
  return compare(settings, {.name = "real", .gateway = real, .authority = &authority},
                 {.name = "mock", .gateway = shared});
}

}  // namespace
}  // namespace lp::bench

int main(int argc, char** argv) {
  lp::bench::Settings settings;
  CLI::App app("Registrations at real gateways on loopback, measured in pairs");
  app.add_flag("--real-tickets", settings.real_tickets,
               "Real tickets beside mock e-cash; else shared commits beside single ones");
  app.add_option("--rounds", settings.rounds, "Rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Seconds of each measurement, four in a round")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--concurrency", settings.concurrency,
                 "Clients at one time, beside measurements with one client; a gateway lets 128 "
                 "tickets of one address wait for verification")
      ->check(CLI::Range(2U, 4096U))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!lp::crypto::initialise()) return 70;
  try {
    return lp::bench::run(settings) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "lp-registration-bench: " << error.what() << '\n';
    return 69;
  }
}
