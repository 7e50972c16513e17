// A server on loopback with fakes behind it, and what tests ask of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/connection/server.h"
#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/storage/storage.h"
#include "tests/support/raw_client.h"

namespace lp::gateway::connection {

class FakeWallClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override { return now_; }
  void set(UnixSeconds now) noexcept { now_ = now; }

 private:
  std::atomic<UnixSeconds> now_{1'750'000'000};
};

/// Answers as it is told: before `submit` returns, from a thread of its own, or when a test says
/// so.
class FakeRegistrar final : public registration::Registrar {
 public:
  enum class Mode : std::uint8_t { at_once, from_a_thread, when_told };

  struct Seen {
    Bytes plaintext;
    messages::IpAddress local_address;
    messages::IpAddress peer;
    std::uint32_t timestamp_tolerance_secs = 0;
    MonotonicTime deadline;
  };

  ~FakeRegistrar() override;
  void submit(const registration::Attempt& attempt, registration::AnswerDone done) override;
  [[nodiscard]] std::size_t in_flight() const override;
  void retry_compensations() override {}

  void set_mode(Mode mode);
  /// What will be answered; a success for a dVPN client unless set.
  void set_answer(registration::Answer answer);
  /// Waits until so many attempts have been submitted in all.
  void wait_for_attempts(std::size_t count);
  /// Answers all that were held back. Returns how many.
  std::size_t answer_all();
  [[nodiscard]] std::vector<Seen> seen() const;

  static registration::Answer success();
  static registration::Answer failure(messages::RegistrationFailure reason);

 private:
  mutable std::mutex mutex_;
  std::condition_variable submitted_;
  Mode mode_ = Mode::at_once;
  registration::Answer answer_ = success();
  std::vector<Seen> seen_;
  std::vector<registration::AnswerDone> held_;
  std::vector<std::thread> threads_;
};

/// Keeps session records; connections ask nothing else of a storage.
class FakeStorage final : public storage::Storage {
 public:
  void accept_ticket(storage::Acceptance, storage::Done<storage::AcceptanceResult> done) override;
  void find_spent(const messages::Nullifier&,
                  storage::Done<std::optional<storage::SpentTicket>> done) override;
  void compensate(const storage::Owner&, const messages::Nullifier&, UnixSeconds,
                  storage::Done<Compensated> done) override;
  void list_peers(storage::PeerPage, storage::Done<std::vector<storage::Peer>> done) override;
  void find_peer(const crypto::X25519Public&,
                 storage::Done<std::optional<storage::Peer>> done) override;
  void record_usage(std::vector<storage::PeerUsage>, UnixSeconds,
                    storage::Done<storage::UsageOutcome> done) override;
  void remove_peer(const crypto::X25519Public&, storage::Done<storage::RemovedPeer> done) override;
  void list_removals(storage::Done<std::vector<crypto::X25519Public>> done) override;
  void confirm_removals(std::vector<crypto::X25519Public>,
                        storage::Done<std::monostate> done) override;
  void record_session(storage::SessionRecord record) override;
  [[nodiscard]] storage::StorageStats stats() const override { return {}; }
  void shut_down() override {}

  [[nodiscard]] std::vector<storage::SessionRecord> records() const;

 private:
  mutable std::mutex mutex_;
  std::vector<storage::SessionRecord> records_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;

  /// Starts the server with `options` and `settings`.
  void start();
  [[nodiscard]] test::RawConnection connect(
      const std::optional<std::string>& source = std::nullopt) const;
  [[nodiscard]] test::RawClient client() const;
  /// A connection that has completed its handshake.
  [[nodiscard]] test::RawConnection shaken(test::RawClient& client) const;

  /// A sample of /metrics by its name with labels, such as `lp_connections_total{result="error"}`.
  [[nodiscard]] double metric(const std::string& sample) const;
  [[nodiscard]] double hello_failures(const std::string& reason) const;
  [[nodiscard]] double handshake_failures(const std::string& reason) const;
  [[nodiscard]] double registration_failures(messages::RegistrationFailure reason) const;
  /// The sum of a family's samples over its labels.
  [[nodiscard]] double sum(const std::string& family) const;
  /// Waits until nothing is in flight.
  void wait_until_idle() const;
  /// Waits until `holds`, for as long as a test may hang.
  static void wait_until(const std::function<bool()>& holds);
  /// "Whenever nothing is in flight, success + failed = attempts = histogram count."
  void expect_sums() const;

  ServerOptions options{.bind_addresses = {"127.0.0.1"}, .threads = 1};
  ReloadableSettings settings;
  FakeWallClock clock;
  FakeRegistrar registrar;
  FakeStorage storage;
  metrics::Metrics metrics;
  crypto::X25519KeyPair keys;
  std::unique_ptr<Server> server;
};

}  // namespace lp::gateway::connection
