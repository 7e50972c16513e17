// lp-parts-bench: what a registration is made of (docs/performance.md, "Registrations").
//
//   lp-parts-bench [--rounds N] [--seconds S] [--registrations N]
//   lp-parts-bench --postgres [--rounds N] [--seconds S]
//
// The storage path alone: tickets taken per second, all that wait in one durable transaction beside
// one transaction for each, in turns. Then the latency of a registration at a real gateway on idle
// loopback beside that of its parts, which are measured in between: both roles of a handshake, one
// durable commit, and a bare TCP exchange of the same sizes.
//
// --postgres: the storage path in SQLite beside that in a PostgreSQL server on this machine, which
// is started for it and is as durable.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/handshake.h"
#include "bench/median.h"
#include "bench/registration_gateway.h"
#include "bench/registration_tickets.h"
#include "gateway/storage/postgres_storage.h"
#include "gateway/storage/sqlite_storage.h"
#include "lib/crypto/random.h"
#include "lib/ecash/ticket.h"
#include "lib/wire/format.h"
#include "probes/client/lp_registration_client.h"
#include "tests/support/errno.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"

namespace lp::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;
using gateway::storage::Storage;

struct Settings {
  int rounds = 3;
  double seconds = 3;
  unsigned in_flight = 64;
  unsigned registrations = 500;
  bool postgres = false;
};

/// A database of its own.
class Ledger {
 public:
  explicit Ledger(bool commit_each) {
    auto opened = gateway::storage::open_sqlite({.path = dir_ / "ledger.sqlite",
                                                 .ipv4_pool = "10.0.0.0/8",
                                                 .ipv6_pool = "fd00::/100",
                                                 .commit_each = commit_each});
    if (!opened) throw std::runtime_error(opened.error().detail);
    storage_ = std::move(*opened);
  }
  [[nodiscard]] Storage& storage() { return *storage_; }

 private:
  test::TempDir dir_;
  std::unique_ptr<Storage> storage_;
};

gateway::storage::Acceptance new_ticket() {
  gateway::storage::Acceptance ticket;
  crypto::random_bytes(ticket.owner.key);
  crypto::random_bytes(ticket.nullifier);
  ticket.amount = static_cast<std::int64_t>(ecash::ticket_worth(ticket.ticket_type));
  ticket.now = SystemWallClock().now();
  ticket.expiry = ticket.now + 86'400;
  return ticket;
}

/// Keeps `in_flight` tickets waiting at the storage until the time is over.
class ClosedLoop {
 public:
  ClosedLoop(Storage& storage, Clock::time_point end) : storage_(storage), end_(end) {}

  /// Tickets taken.
  std::size_t run(unsigned in_flight) {
    running_ = in_flight;
    for (unsigned i = 0; i < in_flight; ++i)
      submit();
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return running_ == 0; });
    if (failed_) throw std::runtime_error("the storage refused a ticket");
    return taken_;
  }

 private:
  void submit() {
    storage_.accept_ticket(new_ticket(), [this](auto result) {
      const bool good = result && result->outcome == gateway::storage::AcceptanceOutcome::accepted;
      const bool again = good && Clock::now() < end_;
      if (again) {
        ++taken_;
        submit();
        return;
      }
      const std::lock_guard lock(mutex_);
      if (good) ++taken_;
      failed_ = failed_ || !good;
      if (--running_ == 0) finished_.notify_one();
    });
  }

  Storage& storage_;
  const Clock::time_point end_;
  std::atomic<std::size_t> taken_ = 0;
  std::mutex mutex_;
  std::condition_variable finished_;
  unsigned running_ = 0;
  bool failed_ = false;
};

double tickets_per_second(Storage& storage, unsigned in_flight, double seconds) {
  const auto begin = Clock::now();
  const auto length =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  ClosedLoop loop(storage, begin + length);
  const auto taken = static_cast<double>(loop.run(in_flight));
  return taken / std::chrono::duration<double>(Clock::now() - begin).count();
}

void measure_storage(const Settings& settings) {
  Ledger shared(false);
  Ledger each(true);
  std::vector<double> shared_rates;
  std::vector<double> each_rates;
  std::vector<double> ratios;
  fmt::print("The storage path, {} tickets waiting at any time\n\n", settings.in_flight);
  fmt::print(
      "| round | shared, tickets/s | each, tickets/s | ratio |\n| --- | --- | --- | --- |\n");
  for (int round = 1; round <= settings.rounds; ++round) {
    shared_rates.push_back(
        tickets_per_second(shared.storage(), settings.in_flight, settings.seconds));
    each_rates.push_back(tickets_per_second(each.storage(), settings.in_flight, settings.seconds));
    ratios.push_back(shared_rates.back() / each_rates.back());
    fmt::print("| {} | {:.0f} | {:.0f} | {:.1f} |\n", round, shared_rates.back(), each_rates.back(),
               ratios.back());
  }
  fmt::print("| median | {:.0f} | {:.0f} | {:.1f} |\n\n", median(shared_rates), median(each_rates),
             median(ratios));
}

void measure_postgres(const Settings& settings) {
  test::PostgresServer server({.durable = true, .settings = {"shared_buffers=128MB"}});
  server.create_database("ledger");
  auto postgres = gateway::storage::open_postgres(
      {.url = server.url("ledger"),
       .instance = {.name = "bench", .announced_host = "192.0.2.1", .announced_port = 51'820},
       .ipv4_pool = "10.0.0.0/8",
       .ipv6_pool = "fd00::/100"});
  if (!postgres) throw std::runtime_error(postgres.error().detail);
  Ledger sqlite(false);
  std::vector<double> ratios;
  fmt::print("The storage path, {} tickets waiting at any time\n\n", settings.in_flight);
  fmt::print(
      "| round | SQLite, tickets/s | PostgreSQL, tickets/s | ratio |\n| --- | --- | --- | --- "
      "|\n");
  for (int round = 1; round <= settings.rounds; ++round) {
    const auto in_sqlite =
        tickets_per_second(sqlite.storage(), settings.in_flight, settings.seconds);
    const auto in_postgres = tickets_per_second(**postgres, settings.in_flight, settings.seconds);
    ratios.push_back(in_postgres / in_sqlite);
    fmt::print("| {} | {:.0f} | {:.0f} | {:.2f} |\n", round, in_sqlite, in_postgres, ratios.back());
  }
  fmt::print("| median | | | {:.2f} |\n", median(ratios));
}

/// The sizes of a registration's flights on the wire, without the TCP connection's own.
struct Flights {
  std::size_t hello_and_message_1 = 0;
  std::size_t message_2 = 0;
  std::size_t message_3_and_request = 0;
  std::size_t response = 0;
};

Flights flights_of(const messages::RegistrationRequest& request) {
  constexpr auto sealed = wire::frame_length_size + wire::min_packet_size + wire::aead_tag_size;
  constexpr std::size_t response_size = 160;  // dVPN: addresses, keys, a session id
  return {.hello_and_message_1 = 2 * wire::frame_length_size + wire::client_hello_packet_size +
                                 wire::message_1_packet_size,
          .message_2 = wire::frame_length_size + wire::message_2_packet_size,
          .message_3_and_request = wire::frame_length_size + wire::message_3_packet_size + sealed +
                                   encode(request).size(),
          .response = sealed + response_size};
}

void transfer_all(int fd, std::size_t size, bool sending) {
  std::array<std::uint8_t, 4096> buffer{};
  while (size > 0) {
    const auto part = std::min(size, buffer.size());
    const auto done = sending ? ::send(fd, buffer.data(), part, MSG_NOSIGNAL)
                              : ::recv(fd, buffer.data(), part, 0);
    if (done <= 0) test::fail_with_errno("the bare exchange");
    size -= static_cast<std::size_t>(done);
  }
}

int tcp_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) test::fail_with_errno("socket");
  return fd;
}

void set_no_delay(int fd) {
  const int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// The same flights between two threads that do nothing with them.
class BareExchange {
 public:
  explicit BareExchange(const Flights& flights) : flights_(flights), listener_(tcp_socket()) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto* generic = reinterpret_cast<sockaddr*>(&address_);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      test::fail_with_errno("a listener on loopback");
    }
    server_ = std::jthread([this] { serve(); });
  }
  ~BareExchange() {
    ::shutdown(listener_, SHUT_RDWR);
    server_.join();
    ::close(listener_);
  }
  BareExchange(const BareExchange&) = delete;
  BareExchange& operator=(const BareExchange&) = delete;

  void once() const {
    const int fd = tcp_socket();
    set_no_delay(fd);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) {
      test::fail_with_errno("connect");
    }
    transfer_all(fd, flights_.hello_and_message_1, true);
    transfer_all(fd, flights_.message_2, false);
    transfer_all(fd, flights_.message_3_and_request, true);
    transfer_all(fd, flights_.response, false);
    ::close(fd);
  }

 private:
  void serve() const {
    for (int fd = ::accept(listener_, nullptr, nullptr); fd >= 0;
         fd = ::accept(listener_, nullptr, nullptr)) {
      set_no_delay(fd);
      transfer_all(fd, flights_.hello_and_message_1, false);
      transfer_all(fd, flights_.message_2, true);
      transfer_all(fd, flights_.message_3_and_request, false);
      transfer_all(fd, flights_.response, true);
      ::close(fd);
    }
  }

  const Flights flights_;
  const int listener_;
  sockaddr_in address_{};
  std::jthread server_;
};

void register_once(const Gateway& gateway, const messages::RegistrationRequest& request) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  probe::client::LpRegistrationClient client(gateway.key());
  if (!client.connect(gateway.endpoint(), deadline) || !client.perform_handshake(deadline) ||
      !client.send_registration_request(request, deadline)) {
    throw std::runtime_error("a registration failed");
  }
  const auto response = client.receive_registration_response(deadline);
  if (!response || !response->success) throw std::runtime_error("a registration was refused");
}

void commit_once(Ledger& ledger) {
  std::promise<bool> promise;
  auto accepted = promise.get_future();
  ledger.storage().accept_ticket(
      new_ticket(), [&](const auto& result) { promise.set_value(result.has_value()); });
  if (!accepted.get()) throw std::runtime_error("the storage refused a ticket");
}

template <typename Work>
double microseconds_of(Work work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double microseconds(Nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void measure_latency(const Settings& settings) {
  const Gateway gateway("lp-gateway", {"--use-mock-ecash"});
  const auto requests = make_requests(settings.registrations, gateway.identity(), nullptr);
  const auto keys = crypto::X25519KeyPair::generate();
  const BareExchange exchange(flights_of(requests.front()));
  Ledger ledger(false);
  std::vector<double> whole;
  std::vector<double> initiator;
  std::vector<double> responder;
  std::vector<double> commit;
  std::vector<double> tcp;
  for (const auto& request : requests) {
    whole.push_back(microseconds_of([&] { register_once(gateway, request); }));
    const auto handshake = shake_hands(keys);
    if (!handshake) throw std::runtime_error("a handshake failed");
    initiator.push_back(microseconds(handshake->initiator));
    responder.push_back(microseconds(handshake->responder));
    commit.push_back(microseconds_of([&] { commit_once(ledger); }));
    tcp.push_back(microseconds_of([&] { exchange.once(); }));
  }
  const double sum = median(initiator) + median(responder) + median(commit) + median(tcp);
  fmt::print("One registration after another on idle loopback, p50 of {}, microseconds\n\n",
             requests.size());
  fmt::print("| | p50 |\n| --- | --- |\n");
  fmt::print("| initiator's handshake | {:.0f} |\n", median(initiator));
  fmt::print("| responder's handshake | {:.0f} |\n", median(responder));
  fmt::print("| one durable commit | {:.0f} |\n", median(commit));
  fmt::print("| bare TCP exchange | {:.0f} |\n", median(tcp));
  fmt::print("| sum of the parts | {:.0f} |\n", sum);
  fmt::print("| registration | {:.0f} |\n", median(whole));
  fmt::print("| registration to sum | {:.2f} |\n", median(whole) / sum);
}

}  // namespace
}  // namespace lp::bench

int main(int argc, char** argv) {
  lp::bench::Settings settings;
  CLI::App app("The parts of a registration: storage, handshakes, TCP");
  app.add_option("--rounds", settings.rounds, "Rounds of the storage path")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Seconds of each of its measurements")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--in-flight", settings.in_flight, "Tickets that wait at the storage at any time")
      ->check(CLI::Range(1U, 4096U))
      ->capture_default_str();
  app.add_option("--registrations", settings.registrations, "Registrations to take the latency of")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
  app.add_flag("--postgres", settings.postgres, "Only the storage path, also in PostgreSQL");
  CLI11_PARSE(app, argc, argv);
  if (!lp::crypto::initialise()) return 70;
  try {
    if (settings.postgres) {
      lp::bench::measure_postgres(settings);
      return 0;
    }
    lp::bench::measure_storage(settings);
    lp::bench::measure_latency(settings);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "lp-parts-bench: " << error.what() << '\n';
    return 69;
  }
}
