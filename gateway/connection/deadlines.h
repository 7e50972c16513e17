// The deadlines of one I/O thread's connections, behind one timer.
#pragma once

#include <boost/intrusive/set.hpp>
#include <vector>

#include "gateway/connection/asio.h"
#include "lib/base/clock.h"

namespace lp::gateway::connection {

/// Something that ends at a point in time unless it is cancelled. Base of what has a deadline: the
/// links are inside, so that a deadline costs neither an allocation nor a timer. (Not the smallest
/// links: GCC 14 takes the bit that those keep in a pointer for uninitialised.)
class Deadline : public boost::intrusive::set_base_hook<
                     boost::intrusive::optimize_size<false>,
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// The deadline is over; it is no longer among those that are watched.
  virtual void expire() = 0;

 protected:
  Deadline() = default;
  ~Deadline() = default;

 private:
  friend class Deadlines;
  MonotonicTime at_;
};

/// Watches deadlines. Used on the thread that runs `context` alone. Deadlines unlink themselves
/// when they are destroyed.
class Deadlines {
 public:
  explicit Deadlines(asio::io_context& context);

  /// `deadline` expires at `at` and at no other time.
  void set(Deadline& deadline, MonotonicTime at);
  static void cancel(Deadline& deadline) noexcept;
  /// Calls `visit` for every watched deadline, from the earliest; it may set or cancel the one it
  /// is given.
  template <typename Visit>
  void for_each(Visit visit);
  /// Lets the context run out of work. No deadline expires after this.
  void stop();

 private:
  struct Earlier {
    bool operator()(const Deadline& a, const Deadline& b) const noexcept { return a.at_ < b.at_; }
  };

  void arm();
  void expire_due();

  boost::intrusive::multiset<Deadline, boost::intrusive::compare<Earlier>,
                             boost::intrusive::constant_time_size<false>>
      watched_;
  Timer timer_;
  /// When the timer goes off. It may do so before the earliest deadline, never after it: a deadline
  /// that is cancelled or put off leaves the timer alone, which saves most system calls.
  MonotonicTime armed_ = MonotonicTime::max();
  bool stopped_ = false;
};

template <typename Visit>
void Deadlines::for_each(Visit visit) {
  // One that is set anew may come up again, but not after the last of those there are now.
  std::vector<Deadline*> all;
  for (Deadline& deadline : watched_)
    all.push_back(&deadline);
  for (Deadline* deadline : all)
    visit(*deadline);
}

}  // namespace lp::gateway::connection
