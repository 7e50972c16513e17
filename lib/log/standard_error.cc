#include "lib/log/standard_error.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "lib/log/line.h"
#include "lib/log/log.h"

namespace lp::log {
namespace {

/// Of the log's thread alone. Not stdio's stream: exit() would wait for its lock.
class Descriptor {
 public:
  /// What cannot be written, a disk being full, is lost: a log is no reason to stop.
  void write(std::string line) {
    if (torn_) line.insert(line.begin(), '\n');  // the rest of a line is no part of the next
    line += '\n';
    std::string_view left = line;
    while (!left.empty()) {
      const ssize_t count = ::write(STDERR_FILENO, left.data(), left.size());
      if (count > 0) {
        left.remove_prefix(static_cast<std::size_t>(count));
      } else if (count < 0 && errno == EAGAIN) {  // whoever shares the descriptor wants it so
        pollfd writable{STDERR_FILENO, POLLOUT, 0};
        (void)::poll(&writable, 1, -1);
      } else if (count == 0 || errno != EINTR) {
        break;
      }
    }
    if (left.size() != line.size()) torn_ = !left.empty();
  }

 private:
  bool torn_ = false;
};

class Output final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  /// Before the first line.
  void take_losses_from(spdlog::details::thread_pool& pool) { pool_ = &pool; }

  /// Until so many lines are written or lost, or the time is over.
  void wait_for(std::uint64_t lines) {
    std::unique_lock lock(mutex_);
    (void)progress_.wait_for(lock, longest_flush,
                             [&] { return written_ + pool_->overrun_counter() >= lines; });
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::uint64_t lost = pool_->overrun_counter();
    if (lost > told_) {
      const std::array<Field, 1> fields{Field("lost", lost - told_)};
      descriptor_.write(format_line(current_format(), std::chrono::system_clock::now(),
                                    Level::warning, "lines were lost: the log is not read in time",
                                    fields));
      told_ = lost;
    }
    descriptor_.write(std::string(message.payload.data(), message.payload.size()));
    const std::lock_guard lock(mutex_);
    ++written_;
    progress_.notify_all();
  }
  void flush_() override {}

 private:
  spdlog::details::thread_pool* pool_ = nullptr;
  Descriptor descriptor_;
  std::uint64_t told_ = 0;
  std::mutex mutex_;
  std::condition_variable progress_;
  std::uint64_t written_ = 0;
};

/// Signals are for the threads that wait for them.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~WithoutSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

 private:
  sigset_t before_{};
};

struct Background {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<Output> output = std::make_shared<Output>();
  std::shared_ptr<spdlog::async_logger> logger;
  std::atomic<std::uint64_t> put = 0;

  Background() {
    const WithoutSignals blocked;
    pool = std::make_shared<spdlog::details::thread_pool>(
        most_lines_waiting, 1, [] { (void)::pthread_setname_np(::pthread_self(), "lp-log"); });
    output->take_losses_from(*pool);
    logger = std::make_shared<spdlog::async_logger>("lp", output, pool,
                                                    spdlog::async_overflow_policy::overrun_oldest);
    logger->set_error_handler([](const std::string&) {});
    (void)std::atexit(flush_lines);
  }
};

std::atomic<Background*>& started() {
  static std::atomic<Background*> instance = nullptr;
  return instance;
}

// Never destroyed: threads may log until the process ends, and its own may be waiting for a reader.
Background& background() {
  static auto* const instance = new Background;
  started() = instance;
  return *instance;
}

}  // namespace

void put_line(std::string_view line) {
  Background& way = background();
  way.put.fetch_add(1);
  way.logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

void flush_lines() {
  Background* const way = started();
  if (way != nullptr) way->output->wait_for(way->put);
}

}  // namespace lp::log
