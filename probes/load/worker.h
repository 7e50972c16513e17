// One thread's share of a load run: places in which registrations run, all watched by one epoll.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "probes/client/socket.h"
#include "probes/load/exchange.h"
#include "probes/load/pacer.h"
#include "probes/load/tally.h"
#include "probes/load/tickets.h"

namespace lp::probe::load {

/// What a terminal is shown while a run goes on. Written by all threads.
struct Live {
  std::atomic<std::uint64_t> ok = 0;
  std::atomic<std::uint64_t> failed = 0;
  std::atomic<std::uint64_t> in_flight = 0;
};

/// What the threads of a run share; outlives them.
struct Shared {
  ExchangePlan plan;
  bool dvpn = true;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;
  Pacer& pacer;
  Tickets& tickets;
  Live& live;
  int cancel_fd = -1;  ///< readable: what is in flight is given up
};

/// Used by one thread.
class Worker {
 public:
  Worker(Shared& shared, std::size_t places);

  /// Until the schedule is over and nothing is in flight, or the run is cancelled. Fails where this
  /// machine gives no descriptors for the loop itself, or cannot do without one more ticket.
  [[nodiscard]] Outcome<void> run();

  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

 private:
  struct Place {
    std::unique_ptr<Exchange> exchange;
    Start start;
    MonotonicTime begun;
  };

  /// A place whose connection was not made, and when it may be used again.
  struct Resting {
    MonotonicTime until;
    std::size_t place = 0;
  };

  [[nodiscard]] Outcome<void> open();
  /// Those in the closed loop whose time has come are free again.
  void wake_rested(MonotonicTime now);
  /// Begins all that is due and has a place.
  [[nodiscard]] Outcome<void> begin_due();
  [[nodiscard]] bool begin(std::size_t place, const Start& start,
                           std::unique_ptr<wallet::SpendableTicket> ticket);
  /// The timer is set to when there is next something to begin or to expire.
  void arm_timer();
  void expire_overdue();
  void finish(std::size_t place);
  void abandon_all();

  Shared& shared_;
  std::vector<Place> places_;
  std::vector<std::size_t> free_;
  std::deque<Resting> resting_;  ///< in the order of their times
  std::size_t in_flight_ = 0;
  client::Descriptor epoll_;
  client::Descriptor timer_;
  MonotonicTime timer_at_ = MonotonicTime::max();
  MonotonicTime next_sweep_;
  Tally tally_;
};

}  // namespace lp::probe::load
