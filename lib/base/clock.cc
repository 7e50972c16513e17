#include "lib/base/clock.h"

namespace lp {

UnixSeconds SystemWallClock::now() const noexcept {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  using std::chrono::system_clock;
  const auto since_epoch = duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
  // A clock set before 1970 must not turn into a date far in the future.
  return since_epoch < 0 ? 0 : static_cast<UnixSeconds>(since_epoch);
}

}  // namespace lp
