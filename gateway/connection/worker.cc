#include "gateway/connection/worker.h"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <string>

#include "gateway/config/log.h"

namespace lp::gateway::connection {

Worker::Worker() = default;

Worker::~Worker() {
  join();
}

void Worker::start(unsigned index) {
  // Signals are the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), ("lp-io-" + std::to_string(index)).c_str());
}

void Worker::join() {
  work_.reset();
  if (!thread_.joinable()) return;
  asio::post(context, [this] { deadlines.stop(); });
  thread_.join();
}

void Worker::run() noexcept {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& error) {
      // Nothing that arrives leads here; memory that is gone may.
      log::write_limited(log::Level::error, "io thread", "an I/O thread goes on after a failure",
                         {{"error", error.what()}});
    }
  }
}

}  // namespace lp::gateway::connection
