// A registrar on a real database that verifies real tickets, with a WireGuard and a chain that the
// test answers for.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/ecash/ecash_manager.h"
#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/storage/sqlite_storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"
#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "tests/gateway/ecash/keys.h"
#include "tests/gateway/wireguard/scripted_backend.h"
#include "tests/support/process.h"

namespace lp::gateway::ecash::test {

inline constexpr UnixSeconds start_time = 1'763'000'000;
inline constexpr UnixSeconds day = 86'400;

class FakeWallClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override { return time.load(); }
  std::atomic<UnixSeconds> time = start_time;
};

/// What the chain answers, from any thread; may be held back.
class FakeChain {
 public:
  using Answer = std::expected<std::vector<Key>, net::ChainError>;

  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void wait_for_fetches(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return fetches_ >= count; });
  }
  [[nodiscard]] int fetches() {
    const std::lock_guard lock(mutex_);
    return fetches_;
  }
  Answer fetch() {
    std::unique_lock lock(mutex_);
    ++fetches_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    return answer_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Answer answer_ = std::vector<Key>{};
  bool held_ = false;
  int fetches_ = 0;
};

/// A gate that a worker thread stands before.
class Gate {
 public:
  void open() { opened_.set_value(); }
  /// Returns once somebody stands there.
  void wait_for_arrival() { arrived_.get_future().get(); }
  void pass() {
    arrived_.set_value();
    opened_.get_future().get();
  }

 private:
  std::promise<void> opened_;
  std::promise<void> arrived_;
};

class RealTickets : public testing::Test {
 protected:
  using Failure = messages::RegistrationFailure;

  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  RealTickets() {
    auto opened = storage::open_sqlite(
        {.path = dir_ / "gateway.sqlite", .ipv4_pool = "10.1.0.0/16", .ipv6_pool = "fd00::/112"});
    EXPECT_TRUE(opened) << opened.error().detail;
    storage_ = std::move(*opened);
  }
  ~RealTickets() override {
    chain_.release();
    if (manager_) manager_->shut_down();
    script_.release();
    wireguard_->shut_down();
    storage_->shut_down();
  }

  EcashOptions options() {
    return {.gateway = gateway_.identity,
            .key_cache = dir_ / "keys.json",
            .contract = "n1",
            .refresh = {.interval = std::chrono::hours(24),
                        .first_retry = std::chrono::hours(24),
                        .demand_gap = std::chrono::milliseconds(0),
                        .remember = std::chrono::milliseconds(0)}};
  }
  void start(const EcashOptions& options) {
    start(options, [this](int) { return chain_.fetch(); });
  }
  void start(const EcashOptions& options, FetchKeys fetch) {
    auto started = start_ecash_manager(options, std::move(fetch), clock_, metrics_);
    ASSERT_TRUE(started) << started.error();
    manager_ = std::move(*started);
    registration::RegistrarOptions registrar_options;
    registrar_options.wireguard_public_key = lp::test::numbered_key(1'000'000);
    registrar_ = registration::make_registrar(registrar_options, *manager_, *storage_, *wireguard_,
                                              leases_, clock_, metrics_);
  }
  /// With these keys on the chain, and known.
  void start_with(const std::vector<Key>& keys, const EcashOptions& options) {
    chain_.answer(keys);
    start(options);
    while (manager_->keys().known->trusted.size() != keys.size())
      std::this_thread::yield();
  }
  void start_with(const std::vector<Key>& keys) { start_with(keys, options()); }

  static messages::RegistrationRequest dvpn(std::uint32_t key, messages::Credential credential,
                                            TicketType type = TicketType::v1_wireguard_entry) {
    messages::RegistrationRequest request;
    request.wg_public_key = to_base64(lp::test::numbered_key(key).bytes);
    request.credential = std::move(credential);
    request.ticket_type = type;
    request.mode = messages::Dvpn{};
    request.client_ip = messages::IpV4{{203, 0, 113, 7}};
    request.timestamp = start_time;
    return request;
  }
  static messages::RegistrationRequest mixnet(std::uint8_t client, messages::Credential credential,
                                              TicketType type) {
    auto request = dvpn(1, std::move(credential), type);
    messages::Mixnet mode;
    mode.client_id.fill(client);
    request.mode = mode;
    return request;
  }

  std::future<registration::Answer> submit(messages::RegistrationRequest request,
                                           const messages::IpAddress& peer = messages::IpV4{
                                               {203, 0, 113, 7}}) {
    request.timestamp = clock_.now();
    auto promise = std::make_shared<std::promise<registration::Answer>>();
    auto future = promise->get_future();
    const Bytes plaintext = messages::encode(request);
    registrar_->submit(
        {.plaintext = plaintext,
         .local_address = messages::IpV4{{192, 0, 2, 1}},
         .peer = peer,
         .timestamp_tolerance_secs = 30},
        [promise](registration::Answer answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  registration::Answer answer(const messages::RegistrationRequest& request) {
    return submit(request).get();
  }
  std::optional<Failure> failure(const messages::RegistrationRequest& request) {
    const auto got = answer(request);
    EXPECT_EQ(got.response.success, !got.failure.has_value());
    if (got.failure) {
      EXPECT_EQ(got.response.error, std::string(messages::sentence(*got.failure)));
    }
    return got.failure;
  }

  std::vector<storage::Peer> active_peers() {
    std::promise<std::vector<storage::Peer>> promise;
    storage_->list_peers({}, [&](auto peers) { promise.set_value(peers.value()); });
    return promise.get_future().get();
  }
  bool is_spent(const messages::Nullifier& nullifier) {
    std::promise<bool> promise;
    storage_->find_spent(nullifier,
                         [&](auto found) { promise.set_value(found.value().has_value()); });
    return promise.get_future().get();
  }
  void expect_untouched() {
    EXPECT_TRUE(active_peers().empty());
    EXPECT_EQ(script_.calls(), 0u);
    EXPECT_EQ(storage_->stats().registrations, 0u);
  }
  /// The value of a metric by its full name with labels.
  double metric(const std::string& name) {
    manager_->update_metrics();
    const std::string text = metrics_.text();
    const auto at = text.find("\n" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }
  double rejected(std::string_view reason) {
    return metric(fmt::format("lp_credential_verification_failed{{reason=\"{}\"}}", reason));
  }

  lp::test::TempDir dir_;
  FakeWallClock clock_;
  FakeChain chain_;
  metrics::Metrics metrics_;
  const crypto::IdentityKeyPair gateway_ = crypto::IdentityKeyPair::generate();
  const Signer entry_{.type = TicketType::v1_wireguard_entry, .expiry = start_time + day};
  const Signer exit_{.type = TicketType::v1_wireguard_exit, .expiry = start_time + day};
  lp::test::WireguardScript script_;
  std::unique_ptr<wireguard::Controller> wireguard_ = wireguard::make_controller(
      script_.backend(),
      {.deadline = std::chrono::seconds(30), .probe_interval = std::chrono::milliseconds(1)});
  wireguard::Leases leases_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<EcashManager> manager_;
  std::unique_ptr<registration::Registrar> registrar_;
};

}  // namespace lp::gateway::ecash::test
