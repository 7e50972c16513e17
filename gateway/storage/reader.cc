#include "gateway/storage/reader.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <utility>
#include <variant>
#include <vector>

namespace lp::gateway::storage {
namespace {

auto read(Lookup& lookup, const messages::Nullifier& nullifier) {
  return lookup.find_spent(nullifier);
}
auto read(Lookup& lookup, const PeerPage& page) {
  return lookup.list_peers(page);
}
auto read(Lookup& lookup, const crypto::X25519Public& key) {
  return lookup.find_peer(key);
}
auto read(Lookup& lookup, ListRemovalsRequest) {
  return lookup.list_removals();
}

template <typename JobType>
void carry_out(Lookup& lookup, JobType& job) {
  const auto result = [&]() -> StorageResult<typename JobType::Result> {
    try {
      return read(lookup, job.request);
    } catch (const std::exception& exception) {  // out of memory
      return std::unexpected(StorageError{StorageError::Kind::unavailable, exception.what()});
    }
  };
  job.complete(result());
}

}  // namespace

Reader::Reader(std::unique_ptr<Lookup> lookup)
    : lookup_(std::move(lookup)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "lp-db-reader");
}

void Reader::shut_down() {
  const std::lock_guard lock(shut_down_mutex_);
  if (!thread_.joinable()) return;
  queue_.close();
  lookup_->hurry();
  thread_.join();
}

void Reader::run() {
  std::vector<ReadJob> jobs;
  while (queue_.wait(std::chrono::milliseconds(0)) > 0) {
    queue_.take(jobs);
    for (auto& job : jobs) {
      std::visit([this](auto& each) { carry_out(*lookup_, each); }, job);
    }
    jobs.clear();
  }
  lookup_->close();
}

}  // namespace lp::gateway::storage
