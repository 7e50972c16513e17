// The end of one operation with a device, on the monotonic clock.
#pragma once

#include <algorithm>
#include <chrono>

namespace lp::gateway::wireguard {

class IoDeadline {
 public:
  explicit IoDeadline(std::chrono::milliseconds from_now) : end_(Clock::now() + from_now) {}

  [[nodiscard]] bool passed() const { return Clock::now() >= end_; }
  [[nodiscard]] std::chrono::microseconds left() const {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(end_ - Clock::now());
    return std::max(left, std::chrono::microseconds(0));
  }
  /// For poll(2), in milliseconds: rounded up, so that 0 means passed.
  [[nodiscard]] int poll_timeout() const {
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left()).count());
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point end_;
};

}  // namespace lp::gateway::wireguard
