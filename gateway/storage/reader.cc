#include "gateway/storage/reader.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <utility>

#include "gateway/storage/ledger.h"

namespace lp::gateway::storage {
namespace {

auto read(Statements& statements, const messages::Nullifier& nullifier) {
  return find_spent_ticket(statements, nullifier);
}
auto read(Statements& statements, const PeerPage& page) {
  return read_peers(statements, page);
}
auto read(Statements& statements, const crypto::X25519Public& key) {
  return find_peer(statements, key);
}
auto read(Statements& statements, ListRemovalsRequest) {
  return read_removals(statements);
}

template <typename JobType>
void carry_out(Statements& statements, JobType& job) {
  const auto result = [&]() -> StorageResult<typename JobType::Result> {
    try {
      return read(statements, job.request);
    } catch (const std::exception& exception) {  // out of memory
      return storage_fail(StorageError::Kind::unavailable, exception.what());
    }
  };
  job.complete(result());
}

}  // namespace

Reader::Reader(Connection connection, Statements statements)
    : connection_(std::move(connection)),
      statements_(std::move(statements)),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "lp-db-reader");
}

void Reader::shut_down() {
  const std::lock_guard lock(shut_down_mutex_);
  if (!thread_.joinable()) return;
  queue_.close();
  connection_.patience().hurry();
  thread_.join();
}

void Reader::run() {
  std::vector<ReadJob> jobs;
  while (queue_.wait(std::chrono::milliseconds(0)) > 0) {
    queue_.take(jobs);
    for (auto& job : jobs) {
      std::visit([this](auto& each) { carry_out(statements_, each); }, job);
    }
    jobs.clear();
  }
  statements_ = Statements();
  connection_.close();
}

}  // namespace lp::gateway::storage
