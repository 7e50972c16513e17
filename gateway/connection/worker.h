// One I/O thread.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "gateway/connection/asio.h"
#include "gateway/connection/deadlines.h"
#include "lib/base/bytes.h"

namespace lp::gateway::connection {

/// By when what runs must end once the gateway stops.
struct Closing {
  MonotonicTime began;      ///< for connections that have not sent anything
  MonotonicTime answer_by;  ///< every stage before the answer; later there is time left to write it
  MonotonicTime end_by;     ///< everything
};

/// A context, the thread that runs it, and what the connections on that thread share. Everything
/// but `assigned`, `start` and `join` belongs to that thread, and is reached from others by posting
/// to `context`.
class Worker {
 public:
  Worker();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Throws std::system_error where there is no thread to be had.
  void start(unsigned index);
  /// Returns once the context has run out of work.
  void join();

  /// Concurrency hint 1: one thread runs the context.
  asio::io_context context{1};
  Deadlines deadlines{context};
  /// Where bytes are read to before it is known whose memory they are worth.
  std::array<std::uint8_t, 16 * 1024> scratch;
  std::optional<Closing> closing;
  /// Connections here or on their way here.
  std::atomic<std::size_t> assigned{0};

 private:
  void run() noexcept;

  asio::executor_work_guard<Executor> work_{context.get_executor()};
  std::thread thread_;
};

}  // namespace lp::gateway::connection
