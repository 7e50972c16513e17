#include "lib/base/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace lp {
namespace {

constexpr auto last_error = Error::randomness_unavailable;

TEST(ErrorTable, TwoErrorsShareANameOrAGloss) {
  std::set<std::string_view> names;
  std::set<std::string_view> glosses;
  for (unsigned value = 0; value <= static_cast<unsigned>(last_error); ++value) {
    const auto error = static_cast<Error>(value);
    EXPECT_TRUE(names.insert(name(error)).second) << name(error);
    EXPECT_TRUE(glosses.insert(gloss(error)).second) << gloss(error);
  }
}

TEST(ErrorTable, NameIsNoMetricLabel) {
  for (unsigned value = 0; value <= static_cast<unsigned>(last_error); ++value) {
    const std::string_view text = name(static_cast<Error>(value));
    EXPECT_FALSE(text.empty());
    EXPECT_TRUE(std::ranges::all_of(text, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    })) << text;
    EXPECT_FALSE(gloss(static_cast<Error>(value)).ends_with('.')) << text;
  }
}

TEST(ErrorTable, NamesAreNotTheEnumerators) {
  EXPECT_EQ(name(Error::frame_oversize), "frame_oversize");
  EXPECT_EQ(name(Error::replay_too_old), "replay_too_old");
  EXPECT_EQ(name(Error::noise_decrypt), "noise_decrypt");
  EXPECT_EQ(name(Error::bincode_utf8), "bincode_utf8");
  EXPECT_EQ(name(last_error), "randomness_unavailable");
}

}  // namespace
}  // namespace lp
