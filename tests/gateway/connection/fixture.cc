#include "tests/gateway/connection/fixture.h"

#include <sstream>
#include <stdexcept>

#include "lib/crypto/random.h"

namespace lp::gateway::connection {

using messages::RegistrationFailure;

FakeRegistrar::~FakeRegistrar() {
  for (std::thread& thread : threads_)
    thread.join();
}

void FakeRegistrar::submit(const registration::Attempt& attempt, registration::AnswerDone done) {
  std::unique_lock lock(mutex_);
  seen_.push_back({.plaintext = Bytes(attempt.plaintext.begin(), attempt.plaintext.end()),
                   .local_address = attempt.local_address,
                   .peer = attempt.peer,
                   .timestamp_tolerance_secs = attempt.timestamp_tolerance_secs,
                   .deadline = attempt.deadline});
  submitted_.notify_all();
  switch (mode_) {
    case Mode::at_once: {
      auto answer = answer_;
      lock.unlock();
      done(std::move(answer));
      return;
    }
    case Mode::from_a_thread:
      threads_.emplace_back(
          [done = std::move(done), answer = answer_]() mutable { done(std::move(answer)); });
      return;
    case Mode::when_told:
      held_.push_back(std::move(done));
      return;
  }
}

std::size_t FakeRegistrar::in_flight() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

void FakeRegistrar::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
}

void FakeRegistrar::set_answer(registration::Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

void FakeRegistrar::wait_for_attempts(std::size_t count) {
  std::unique_lock lock(mutex_);
  const bool came = submitted_.wait_for(lock, test::RawConnection::patience,
                                        [&] { return seen_.size() >= count; });
  if (!came) throw std::runtime_error("the attempts do not come");
}

std::size_t FakeRegistrar::answer_all() {
  std::vector<registration::AnswerDone> held;
  registration::Answer answer;
  {
    const std::lock_guard lock(mutex_);
    held.swap(held_);
    answer = answer_;
  }
  for (auto& done : held)
    done(answer);
  return held.size();
}

std::vector<FakeRegistrar::Seen> FakeRegistrar::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

registration::Answer FakeRegistrar::success() {
  registration::Answer answer;
  answer.response.success = true;
  answer.response.gateway_data = messages::GatewayData{
      {}, {messages::IpV4{{192, 0, 2, 1}}, 51822}, messages::IpV4{{10, 1, 0, 2}}, {}};
  answer.response.allocated_bandwidth = 1'073'741'824;
  answer.response.session_id = 0x01020304;
  answer.client_id = 7;
  return answer;
}

registration::Answer FakeRegistrar::failure(RegistrationFailure reason) {
  registration::Answer answer;
  answer.response.error = messages::sentence(reason);
  answer.failure = reason;
  return answer;
}

namespace {

template <typename T>
void refuse(storage::Done<T>& done) {
  done(std::unexpected(storage::StorageError{}));
}

}  // namespace

void FakeStorage::accept_ticket(storage::Acceptance,
                                storage::Done<storage::AcceptanceResult> done) {
  refuse(done);
}
void FakeStorage::find_spent(const messages::Nullifier&,
                             storage::Done<std::optional<storage::SpentTicket>> done) {
  refuse(done);
}
void FakeStorage::compensate(const storage::Owner&, const messages::Nullifier&, UnixSeconds,
                             storage::Done<Compensated> done) {
  refuse(done);
}
void FakeStorage::list_peers(storage::PeerPage, storage::Done<std::vector<storage::Peer>> done) {
  refuse(done);
}
void FakeStorage::find_peer(const crypto::X25519Public&,
                            storage::Done<std::optional<storage::Peer>> done) {
  refuse(done);
}
void FakeStorage::record_usage(std::vector<storage::PeerUsage>, UnixSeconds,
                               storage::Done<storage::UsageOutcome> done) {
  refuse(done);
}
void FakeStorage::remove_peer(const crypto::X25519Public&,
                              storage::Done<storage::RemovedPeer> done) {
  refuse(done);
}
void FakeStorage::list_removals(storage::Done<std::vector<crypto::X25519Public>> done) {
  refuse(done);
}
void FakeStorage::confirm_removals(std::vector<crypto::X25519Public>,
                                   storage::Done<std::monostate> done) {
  refuse(done);
}

void FakeStorage::record_session(storage::SessionRecord record) {
  const std::lock_guard lock(mutex_);
  records_.push_back(std::move(record));
}

std::vector<storage::SessionRecord> FakeStorage::records() const {
  const std::lock_guard lock(mutex_);
  return records_;
}

ServerTest::ServerTest() {
  if (!crypto::initialise()) throw std::runtime_error("libsodium does not start");
  keys = crypto::X25519KeyPair::generate();
  settings = reloadable(Settings{});
}

ServerTest::~ServerTest() {
  // Before the fakes: a registration that is never answered is the registrar's affair.
  server.reset();
}

void ServerTest::start() {
  auto started = start_server(options, settings, keys, registrar, storage, clock, metrics);
  if (!started) throw std::runtime_error(started.error().detail);
  server = std::move(*started);
}

test::RawConnection ServerTest::connect(const std::optional<std::string>& source) const {
  return {options.bind_addresses.front(), server->port(), source};
}

test::RawClient ServerTest::client() const {
  return {keys.public_key, clock.now()};
}

test::RawConnection ServerTest::shaken(test::RawClient& client) const {
  auto connection = connect();
  if (!test::shake_hands(connection, client)) throw std::runtime_error("the handshake fails");
  return connection;
}

double ServerTest::metric(const std::string& sample) const {
  std::istringstream text(metrics.text());
  for (std::string line; std::getline(text, line);) {
    if (line.size() > sample.size() && line.starts_with(sample) && line[sample.size()] == ' ') {
      return std::stod(line.substr(sample.size() + 1));
    }
  }
  throw std::runtime_error("there is no metric " + sample);
}

double ServerTest::hello_failures(const std::string& reason) const {
  return metric("lp_client_hello_failed{reason=\"" + reason + "\"}");
}

double ServerTest::handshake_failures(const std::string& reason) const {
  return metric("lp_handshakes_failed{reason=\"" + reason + "\"}");
}

double ServerTest::registration_failures(RegistrationFailure reason) const {
  return metric("lp_registration_failed_total{reason=\"" + std::string(messages::label(reason)) +
                "\"}");
}

double ServerTest::sum(const std::string& family) const {
  double total = 0;
  std::istringstream text(metrics.text());
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(family + "{") || line.starts_with(family + " ")) {
      total += std::stod(line.substr(line.rfind(' ')));
    }
  }
  return total;
}

void ServerTest::wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + test::RawConnection::patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("what should come does not");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void ServerTest::wait_until_idle() const {
  wait_until([this] { return server->active_connections() == 0; });
}

void ServerTest::expect_sums() const {
  wait_until_idle();
  EXPECT_EQ(metric("lp_active_lp_connections"), 0);
  EXPECT_EQ(sum("lp_connections_total"), metric("lp_connection_duration_seconds_count"));
  EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"),
            metric("lp_connections_completed_gracefully"));
  EXPECT_EQ(metric("lp_connections_total{result=\"error\"}"),
            metric("lp_connections_completed_with_error"));
  EXPECT_EQ(
      sum("lp_connections_total"),
      sum("lp_client_hello_failed") + sum("lp_handshakes_success") + sum("lp_handshakes_failed"));
  EXPECT_EQ(sum("lp_handshakes_success") + sum("lp_handshakes_failed"),
            metric("lp_handshake_duration_seconds_count"));
  EXPECT_EQ(sum("lp_registration_success_total") + sum("lp_registration_failed_total"),
            metric("lp_registration_attempts_total"));
  EXPECT_EQ(metric("lp_registration_attempts_total"),
            metric("lp_registration_duration_seconds_count"));
}

}  // namespace lp::gateway::connection
