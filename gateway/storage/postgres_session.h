// A connection to PostgreSQL that is made again where it was lost (docs/storage.md, "Several
// instances on PostgreSQL").
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "gateway/storage/ledger.h"
#include "lib/postgres/postgres.h"

namespace lp::gateway::storage {

/// A statement and the name by which it is run.
struct PreparedStatement {
  const char* name;
  std::string_view sql;
};
StorageStatus prepare_all(postgres::Connection& connection,
                          std::span<const PreparedStatement> statements);

class PostgresSession {
 public:
  /// What a new connection needs: statements prepared, locks taken.
  using SetUp = std::function<StorageStatus(postgres::Connection&)>;

  /// Calls are held for this long while the server is away, and then fail.
  static constexpr std::chrono::milliseconds patience{5'000};
  static constexpr std::chrono::milliseconds first_delay{50};
  static constexpr std::chrono::milliseconds longest_delay{2'000};

  PostgresSession(postgres::Url url, std::chrono::milliseconds statement_timeout, SetUp set_up)
      : url_(std::move(url)), statement_timeout_(statement_timeout), set_up_(std::move(set_up)) {}

  /// One attempt.
  StorageStatus connect();
  /// Connects where the connection was lost, with growing delays, up to `patience` after the loss;
  /// later than that, one attempt at a time. True where the connection is a new one.
  [[nodiscard]] StorageResult<bool> ensure();

  [[nodiscard]] bool is_open() const noexcept { return connection_ && connection_->is_open(); }
  /// Requires that `connect` or `ensure` has succeeded.
  [[nodiscard]] postgres::Connection& connection() noexcept { return *connection_; }
  void close() noexcept { connection_.reset(); }

  /// No more waiting for a server that is away. From any thread.
  void hurry() noexcept;
  /// Statements of all connections so far.
  [[nodiscard]] std::uint64_t statements_run() const noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  /// False where hurried.
  bool wait_until(Clock::time_point moment);

  postgres::Url url_;
  std::chrono::milliseconds statement_timeout_;
  SetUp set_up_;
  std::optional<postgres::Connection> connection_;
  std::uint64_t statements_before_ = 0;

  std::optional<Clock::time_point> lost_at_;
  Clock::time_point next_attempt_;
  std::chrono::milliseconds delay_ = first_delay;

  std::mutex mutex_;
  std::condition_variable hurry_up_;
  bool hurried_ = false;
};

}  // namespace lp::gateway::storage
