// The reader: one thread with a connection of its own, so that listing many peers holds up no
// registration. It sees what is committed, and therefore all that was answered.
#pragma once

#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "gateway/storage/job_queue.h"
#include "gateway/storage/sqlite.h"
#include "gateway/storage/statements.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

struct ListRemovalsRequest {};
using FindJob = Job<messages::Nullifier, std::optional<SpentTicket>>;
using ListPeersJob = Job<PeerPage, std::vector<Peer>>;
using FindPeerJob = Job<crypto::X25519Public, std::optional<Peer>>;
using ListRemovalsJob = Job<ListRemovalsRequest, std::vector<crypto::X25519Public>>;
using ReadJob = std::variant<FindJob, ListPeersJob, FindPeerJob, ListRemovalsJob>;

class Reader {
 public:
  /// Starts the thread.
  Reader(Connection connection, Statements statements);
  ~Reader() { shut_down(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] JobQueue<ReadJob>& queue() noexcept { return queue_; }
  /// Finishes what waits and closes.
  void shut_down();

 private:
  void run();

  Connection connection_;
  Statements statements_;
  JobQueue<ReadJob> queue_;
  std::mutex shut_down_mutex_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace lp::gateway::storage
