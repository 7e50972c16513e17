#include "gateway/connection/deadlines.h"

namespace lp::gateway::connection {

Deadlines::Deadlines(asio::io_context& context) : timer_(context) {}

void Deadlines::set(Deadline& deadline, MonotonicTime at) {
  deadline.unlink();
  deadline.at_ = at;
  watched_.insert(deadline);
  arm();
}

void Deadlines::cancel(Deadline& deadline) noexcept {
  deadline.unlink();
}

void Deadlines::stop() {
  stopped_ = true;
  timer_.cancel();
}

void Deadlines::arm() {
  if (stopped_ || watched_.empty()) return;
  const MonotonicTime earliest = watched_.begin()->at_;
  if (earliest >= armed_) return;
  armed_ = earliest;
  timer_.expires_at(earliest);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) expire_due();
  });
}

void Deadlines::expire_due() {
  armed_ = MonotonicTime::max();
  const MonotonicTime now = std::chrono::steady_clock::now();
  while (!watched_.empty() && watched_.begin()->at_ <= now) {
    Deadline& deadline = *watched_.begin();
    deadline.unlink();
    deadline.expire();
  }
  arm();
}

}  // namespace lp::gateway::connection
