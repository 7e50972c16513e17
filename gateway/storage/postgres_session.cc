#include "gateway/storage/postgres_session.h"

#include <algorithm>
#include <utility>

namespace lp::gateway::storage {

StorageStatus prepare_all(postgres::Connection& connection,
                          std::span<const PreparedStatement> statements) {
  for (const auto& [name, sql] : statements) {
    if (auto done = connection.prepare(name, sql); !done) return done;
  }
  return {};
}

StorageStatus PostgresSession::connect() {
  if (connection_) statements_before_ += connection_->statements_run();
  connection_.reset();
  auto opened = postgres::Connection::open(
      url_, {.application_name = "lp-gateway", .statement_timeout_ms = statement_timeout_.count()});
  if (!opened) return std::unexpected(std::move(opened.error()));
  if (auto done = set_up_(*opened); !done) return done;
  connection_ = std::move(*opened);
  lost_at_.reset();
  return {};
}

StorageResult<bool> PostgresSession::ensure() {
  if (is_open()) return false;
  if (!lost_at_) {
    lost_at_ = Clock::now();
    next_attempt_ = *lost_at_;
    delay_ = first_delay;
  }
  const auto deadline = *lost_at_ + patience;
  while (true) {
    const bool hurried = !wait_until(next_attempt_);
    auto connected = connect();
    if (connected) return true;
    next_attempt_ = Clock::now() + delay_;
    delay_ = std::min(2 * delay_, longest_delay);
    if (hurried || next_attempt_ > deadline) return std::unexpected(std::move(connected.error()));
  }
}

bool PostgresSession::wait_until(Clock::time_point moment) {
  std::unique_lock lock(mutex_);
  return !hurry_up_.wait_until(lock, moment, [this] { return hurried_; });
}

void PostgresSession::hurry() noexcept {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
  }
  hurry_up_.notify_all();
}

std::uint64_t PostgresSession::statements_run() const noexcept {
  return statements_before_ + (connection_ ? connection_->statements_run() : 0);
}

}  // namespace lp::gateway::storage
