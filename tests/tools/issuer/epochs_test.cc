#include "tools/issuer/epochs.h"

#include <gtest/gtest.h>

namespace lp::issuer {
namespace {

TEST(NextExpiry, IsTheFirstMultipleOfTheLengthThatIsNeitherOverNorTaken) {
  struct Case {
    UnixSeconds newest, now, length, expected;
  };
  for (const Case& c : {
           Case{0, 0, 100, 100},       // the very first
           Case{0, 99, 100, 100},      //
           Case{0, 100, 100, 200},     // an expiry that comes now is over
           Case{200, 150, 100, 300},   // after the newest
           Case{200, 950, 100, 1000},  // after a long sleep: none for the time slept through
           Case{200, 150, 70, 210},    // another length: aligned to the new one
           Case{200, 150, 1, 201},
       }) {
    EXPECT_EQ(next_expiry(c.newest, c.now, c.length), c.expected)
        << c.newest << " " << c.now << " " << c.length;
  }
}

TEST(Epochs, OfTheGreatestLengthLieWithinWhatGatewaysAskFor) {
  constexpr UnixSeconds now = 1'700'000'000;
  UnixSeconds newest = 0;
  for (std::size_t i = 0; i < epochs_ahead; ++i)
    newest = next_expiry(newest, now, max_epoch_length);
  EXPECT_LE(newest - now, key_horizon);
}

}  // namespace
}  // namespace lp::issuer
