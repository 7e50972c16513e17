#include "tools/issuer/epochs.h"

#include <gtest/gtest.h>

namespace lp::issuer {
namespace {

TEST(ExpiryAfter, IsAMultipleOfTheLengthThatHasNotCome) {
  struct Case {
    UnixSeconds now, length;
    std::size_t n;
    UnixSeconds expected;
  };
  for (const Case& c : {
           Case{0, 100, 0, 100},    // the very first
           Case{99, 100, 0, 100},   //
           Case{100, 100, 0, 200},  // an expiry that comes now is over
           Case{150, 100, 1, 300},
           Case{150, 70, 2, 350},
           Case{150, 1, 0, 151},
       }) {
    EXPECT_EQ(expiry_after(c.now, c.length, c.n), c.expected) << c.now << " " << c.length;
  }
}

TEST(Epochs, OfTheGreatestLengthLieWithinWhatGatewaysAskFor) {
  constexpr UnixSeconds now = 1'700'000'000;
  EXPECT_LE(expiry_after(now, max_epoch_length, epochs_ahead - 1) - now, key_horizon);
}

}  // namespace
}  // namespace lp::issuer
