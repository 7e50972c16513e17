#include "tests/system/gateway_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <barrier>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "probes/client/lp_registration_client.h"
#include "tests/support/raw_client.h"

namespace lp::test {
namespace {

/// A read-only look into the database beside its writer.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) {
    if (sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
      throw std::runtime_error("cannot open " + path.string());
    }
    sqlite3_busy_timeout(database_, 10'000);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { sqlite3_close(database_); }

  [[nodiscard]] std::int64_t number(const std::string& sql) const {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
      sqlite3_finalize(statement);
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
    }
    const std::int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
  }
  /// The first column of every row, as text.
  [[nodiscard]] std::vector<std::string> texts(const std::string& sql) const {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
    }
    std::vector<std::string> texts;
    while (sqlite3_step(statement) == SQLITE_ROW)
      texts.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));
    sqlite3_finalize(statement);
    return texts;
  }
  [[nodiscard]] sqlite3* get() const { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

}  // namespace

bool long_run() {
  const char* const value = std::getenv("LP_TEST_LONG");
  return value != nullptr && std::string_view(value) == "1";
}

int rounds(int short_run, int long_run) {
  return test::long_run() ? long_run : short_run;
}

UnixSeconds now() {
  return SystemWallClock().now();
}

Exposition::Exposition(std::string_view text) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto space = line.rfind(' ');
    if (space == std::string::npos) continue;
    values_[line.substr(0, space)] = std::strtod(line.c_str() + space + 1, nullptr);
  }
}

double Exposition::operator[](const std::string& series) const {
  const auto found = values_.find(series);
  if (found == values_.end()) {
    ADD_FAILURE() << "no series " << series;
    return -1;
  }
  return found->second;
}

double Exposition::sum(std::string_view family) const {
  double sum = 0;
  for (const auto& [series, value] : values_) {
    if (series.substr(0, series.find('{')) == family) sum += value;
  }
  return sum;
}

GatewayProcess::GatewayProcess(Options options) : options_(std::move(options)) {
  if (!crypto::initialise()) throw std::runtime_error("libsodium does not start");
  const auto made = test::run({.program = program("lp-gateway"),
                               .args = {"init", "--data-dir", (data_ / "gateway").string()}});
  if (made.ended.code != 0) throw std::runtime_error("lp-gateway init: " + made.error_output);
  if (options_.identity_of) {
    std::filesystem::copy_file(*options_.identity_of / "identity.key", data_dir() / "identity.key",
                               std::filesystem::copy_options::overwrite_existing);
  }
  start();
}

void GatewayProcess::start() {
  std::vector<std::string> args{"run",
                                "--data-dir",
                                (data_ / "gateway").string(),
                                "--bind-address",
                                "127.0.0.1",
                                "--control-port",
                                "0",
                                "--http-address",
                                "127.0.0.1",
                                "--http-port",
                                "0",
                                "--log-level",
                                "warning"};
  if (options_.mock_ecash) args.emplace_back("--use-mock-ecash");
  args.insert(args.end(), options_.flags.begin(), options_.flags.end());
  child_ = std::make_unique<Child>(ChildOptions{.program = program(options_.program),
                                                .args = args,
                                                .environment = options_.environment,
                                                .open_files_soft = options_.open_files,
                                                .open_files_hard = options_.open_files});
  const auto ready = child_->read_line();
  std::smatch match;
  if (!ready ||
      !std::regex_match(*ready, match, std::regex("ready lp=(\\S+) http=(\\S+) identity=(\\S+)"))) {
    throw std::runtime_error("lp-gateway did not start: " + child_->error_output());
  }
  port_ = port_of(match[1]);
  http_port_ = port_of(match[2]);
  identity_ = match[3];
  lp_key_ = crypto::Identity::from_base58(identity_).value().to_x25519().value();
}

int GatewayProcess::stop() {
  child_->send_signal(SIGTERM);
  return child_->wait().code.value_or(-1);
}

void GatewayProcess::kill() {
  (void)child_->kill();
}

std::string GatewayProcess::target() const {
  return identity_ + "@127.0.0.1:" + std::to_string(port_);
}

std::string GatewayProcess::http_answer(std::string_view path) const {
  RawConnection connection("127.0.0.1", http_port_);
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
  connection.send({reinterpret_cast<const std::uint8_t*>(request.data()), request.size()});
  const auto answer = connection.receive_until_closed();
  if (!answer) throw std::runtime_error("no HTTP answer");
  return {answer->begin(), answer->end()};
}

std::string GatewayProcess::http_get(std::string_view path) const {
  const std::string text = http_answer(path);
  if (!text.starts_with("HTTP/1.1 200")) throw std::runtime_error(text);
  return text.substr(text.find("\r\n\r\n") + 4);
}

Exposition GatewayProcess::metrics() const {
  return Exposition(http_get("/metrics"));
}

std::string GatewayProcess::ready_answer() const {
  return http_answer("/readyz");
}

Exposition GatewayProcess::idle_metrics() const {
  const auto limit = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto found = metrics();
    if (found["lp_active_lp_connections"] == 0) return found;
    if (std::chrono::steady_clock::now() > limit) {
      ADD_FAILURE() << "connections stay active: " << found["lp_active_lp_connections"];
      return found;
    }
    std::this_thread::yield();
  }
}

std::uint64_t GatewayProcess::resident_kib() const {
  std::ifstream status("/proc/" + std::to_string(child_->pid()) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  }
  throw std::runtime_error("no VmRSS");
}

Tables read_tables(const std::filesystem::path& database) {
  const Reader reader(database);
  return {.clients = reader.number("SELECT count(*) FROM clients"),
          .peers = reader.number("SELECT count(*) FROM wireguard_peers"),
          .spent = reader.number("SELECT count(*) FROM spent_credentials"),
          .credited = reader.number("SELECT coalesce(sum(credited), 0) FROM bandwidth"),
          .removals = reader.number("SELECT count(*) FROM wireguard_removals")};
}

std::vector<std::string> find_violations(const std::filesystem::path& database) {
  const Reader reader(database);
  const auto found = gateway::storage::check_invariants(reader.get(), now());
  if (!found) return {found.error().detail};
  std::vector<std::string> texts;
  for (const auto& violation : *found) {
    texts.push_back(violation.invariant + ": " + violation.detail);
  }
  return texts;
}

std::map<std::string, std::string> peers_with_bandwidth(const std::filesystem::path& database) {
  const Reader reader(database);
  std::map<std::string, std::string> peers;
  for (const auto& row : reader.texts(
           "SELECT lower(hex(public_key)) || ' ' || private_ipv4 || '/32,' || private_ipv6 || "
           "'/128' FROM wireguard_peers p JOIN bandwidth b ON b.client_id = p.id "
           "WHERE b.available > 0 AND public_key NOT IN (SELECT public_key FROM "
           "wireguard_removals)")) {
    peers.emplace(row.substr(0, 64), row.substr(65));
  }
  return peers;
}

Tables GatewayProcess::tables() const {
  return read_tables(database());
}

std::vector<std::string> GatewayProcess::violations() const {
  return find_violations(database());
}

bool GatewayProcess::is_spent(const messages::Nullifier& nullifier) const {
  const Reader reader(database());
  return reader.number(
             "SELECT count(*) FROM spent_credentials s JOIN bandwidth b ON b.client_id = "
             "s.client_id WHERE s.nullifier = x'" +
             to_hex(nullifier) + "'") == 1;
}

void expect_sums_agree(const Exposition& metrics) {
  const double attempts = metrics["lp_registration_attempts_total"];
  EXPECT_EQ(
      metrics.sum("lp_registration_success_total") + metrics.sum("lp_registration_failed_total"),
      attempts);
  EXPECT_EQ(metrics["lp_registration_duration_seconds_count"], attempts);
  EXPECT_EQ(metrics["lp_registration_dvpn_success"] + metrics["lp_registration_mixnet_success"],
            metrics.sum("lp_registration_success_total"));
  EXPECT_EQ(metrics["lp_handshakes_success"] + metrics.sum("lp_handshakes_failed"),
            metrics["lp_handshake_duration_seconds_count"]);
  EXPECT_EQ(metrics.sum("lp_connections_total"), metrics["lp_connection_duration_seconds_count"]);
  EXPECT_EQ(metrics["lp_connections_completed_gracefully"],
            metrics["lp_connections_total{result=\"success\"}"]);
  EXPECT_EQ(metrics["lp_connections_completed_with_error"],
            metrics["lp_connections_total{result=\"error\"}"]);
  EXPECT_EQ(metrics.sum("lp_connections_total"), metrics.sum("lp_client_hello_failed") +
                                                     metrics["lp_handshakes_success"] +
                                                     metrics.sum("lp_handshakes_failed"));
  EXPECT_EQ(metrics["lp_active_lp_connections"], 0);
}

messages::Nullifier numbered_nullifier(std::uint64_t number) {
  messages::Nullifier nullifier{};
  store_be(nullifier.data(), number);
  nullifier[31] = 1;
  return nullifier;
}

crypto::X25519Public numbered_wireguard_key(std::uint64_t number) {
  crypto::X25519Public key;
  key.bytes.fill(0x42);
  store_be(key.bytes.data(), number);
  return key;
}

messages::RegistrationRequest request(std::uint64_t key, std::uint64_t nullifier) {
  auto request = dvpn_request(now());
  request.wg_public_key = to_base64(numbered_wireguard_key(key).bytes);
  request.credential.nullifier = numbered_nullifier(nullifier);
  return request;
}

std::optional<messages::RegistrationResponse> register_once(
    std::uint16_t port, const crypto::X25519Public& lp_key,
    const messages::RegistrationRequest& request) {
  probe::client::LpRegistrationClient client(lp_key);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto endpoint = probe::client::Endpoint::from_literal("127.0.0.1", port);
  if (!client.connect(endpoint.value(), deadline)) return std::nullopt;
  if (!client.perform_handshake(deadline)) return std::nullopt;
  if (!client.send_registration_request(request, deadline)) return std::nullopt;
  auto response = client.receive_registration_response(deadline);
  if (!response) return std::nullopt;
  return std::move(*response);
}

std::vector<std::optional<messages::RegistrationResponse>> register_all(
    const GatewayProcess& gateway, const std::vector<messages::RegistrationRequest>& requests) {
  std::vector<std::optional<messages::RegistrationResponse>> responses(requests.size());
  std::barrier start(static_cast<std::ptrdiff_t>(requests.size()));
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      responses[i] = register_once(gateway.port(), gateway.lp_key(), requests[i]);
    });
  }
  threads.clear();
  return responses;
}

}  // namespace lp::test
