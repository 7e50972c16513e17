// A load run from its first registration to its last.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "probes/load/worker.h"

namespace lp::probe::load {

struct LoadPlan {
  ExchangePlan exchange;
  bool dvpn = true;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;
  std::size_t concurrency = 50;  ///< registrations at one time, at least 1
  std::size_t threads = 1;       ///< at least 1 and at most `concurrency`
  std::chrono::nanoseconds warmup{};
  std::optional<std::chrono::nanoseconds> duration;  ///< one of these two is there
  std::optional<std::uint64_t> attempts;
  std::optional<double> rate;  ///< a second; nothing: a closed loop
};

struct Result {
  Tally tally;
  Backlog backlog;
  std::chrono::nanoseconds window{};  ///< from the end of the warm-up to the end
  bool interrupted = false;
  std::optional<ProbeError> broken;  ///< why this machine could not go on

  /// Registrations a second that succeeded.
  [[nodiscard]] double rate() const noexcept;
};

/// Called every half second from the thread that called run().
using OnProgress = std::function<void(const Live& live, std::chrono::nanoseconds elapsed)>;

/// Runs until the schedule is over and what is in flight has ended, or until `cancel_fd` is
/// readable: then what is in flight is given up. The controller's tickets are as `tickets` has
/// them.
[[nodiscard]] Result run(const LoadPlan& plan, Tickets& tickets, int cancel_fd,
                         const OnProgress& on_progress);

}  // namespace lp::probe::load
