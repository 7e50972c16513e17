// A reader: one thread with a connection of its own, so that listing many peers holds up no
// registration. It sees what is committed, and therefore all that was answered.
#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include "gateway/storage/job_queue.h"
#include "gateway/storage/jobs.h"
#include "gateway/storage/ledger.h"

namespace lp::gateway::storage {

class Reader {
 public:
  /// Starts the thread.
  explicit Reader(std::unique_ptr<Lookup> lookup);
  ~Reader() { shut_down(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] JobQueue<ReadJob>& queue() noexcept { return queue_; }
  /// Finishes what waits and closes.
  void shut_down();

 private:
  void run();

  std::unique_ptr<Lookup> lookup_;
  JobQueue<ReadJob> queue_;
  std::mutex shut_down_mutex_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace lp::gateway::storage
