// The window against a model that keeps every counter it has seen.
#include "lib/replay/window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/lib/replay/model.h"
#include "tests/support/vectors.h"

namespace lp::replay {

static void PrintTo(Verdict verdict, std::ostream* out) {
  *out << (verdict == Verdict::accept      ? "accept"
           : verdict == Verdict::duplicate ? "duplicate"
                                           : "too old");
}

namespace {

/// Every test with every kernel that the machine supports.
class ReplayWindow : public testing::TestWithParam<const Kernel*> {
 protected:
  ReplayWindow() { use_kernel(*GetParam()); }
  ~ReplayWindow() override { use_kernel(*selection().kernel); }
};

INSTANTIATE_TEST_SUITE_P(Kernel, ReplayWindow, testing::ValuesIn(supported_kernels()),
                         [](const auto& parameter) { return parameter.param->name; });

/// A window and its model, given the same counters.
struct Both {
  Window window;
  Model model;

  /// False where they differ, which also fails the test.
  bool validate(std::uint64_t counter) {
    const Verdict expected = model.check(counter);
    const Verdict checked = window.check(counter);
    const Verdict validated = window.validate(counter);
    const Verdict right = model.validate(counter);
    if (checked == expected && validated == right) return true;
    EXPECT_EQ(checked, expected) << "check of " << counter;
    EXPECT_EQ(validated, right) << "counter " << counter;
    return false;
  }

  /// Compares the verdict on every counter near the window, changing nothing.
  bool compare() const {
    const std::uint64_t highest = model.highest();
    const std::uint64_t from = highest < 1100 ? 0 : highest - 1100;
    const std::uint64_t to = highest > end_of_counters - 80 ? end_of_counters : highest + 80;
    auto next = std::ranges::lower_bound(model.seen(), from);
    for (std::uint64_t counter = from;; ++counter) {
      const bool seen = next != model.seen().end() && *next == counter;
      if (seen) ++next;
      const Verdict expected = counter > highest          ? Verdict::accept
                               : highest - counter > 1023 ? Verdict::too_old
                               : seen                     ? Verdict::duplicate
                                                          : Verdict::accept;
      if (window.check(counter) != expected) {
        ADD_FAILURE() << "counter " << counter << ", highest " << highest;
        return false;
      }
      if (counter == to) return true;
    }
  }
};

TEST_P(ReplayWindow, VerdictDiffersFromTheVectors) {
  for (const auto& vector : test::lp_v1().replay) {
    Window window;
    for (std::size_t i = 0; i < vector.counters.size(); ++i) {
      ASSERT_EQ(window.validate(vector.counters[i]), vector.verdicts[i])
          << vector.kind << ", step " << i << ", counter " << vector.counters[i];
    }
  }
}

TEST_P(ReplayWindow, FirstCounterIsRefused) {
  for (const std::uint64_t first :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{64},
        std::uint64_t{1023}, std::uint64_t{1024}, std::uint64_t{1} << 63, end_of_counters}) {
    Both both;
    ASSERT_TRUE(both.validate(first)) << first;
    ASSERT_EQ(both.window.check(first), Verdict::duplicate);
    ASSERT_TRUE(both.compare());
  }
}

struct EdgeRow {
  std::uint64_t highest;
  std::uint64_t counter;
  Verdict verdict;
};

TEST_P(ReplayWindow, EdgeIsOffByOne) {
  constexpr std::uint64_t end = end_of_counters;
  const EdgeRow rows[] = {
      {1023, 0, Verdict::accept},          // exactly 1,023 below
      {1024, 0, Verdict::too_old},         // one more
      {1024, 1, Verdict::accept},          //
      {5000, 5000, Verdict::duplicate},    // the highest itself
      {5000, 5001, Verdict::accept},       //
      {5000, 3977, Verdict::accept},       // 1,023 below
      {5000, 3976, Verdict::too_old},      // 1,024 below: shares a bit with the highest
      {5000, 0, Verdict::too_old},         //
      {end, end, Verdict::duplicate},      //
      {end, end - 1, Verdict::accept},     //
      {end, end - 1023, Verdict::accept},  //
      {end, end - 1024, Verdict::too_old}, {end, 0, Verdict::too_old},  // 1 above modulo 2^64
      {end - 1, end, Verdict::accept},     {0, end, Verdict::accept},
  };
  for (const auto& row : rows) {
    Window window;
    ASSERT_EQ(window.validate(row.highest), Verdict::accept);
    EXPECT_EQ(window.check(row.counter), row.verdict)
        << "highest " << row.highest << ", counter " << row.counter;
  }
}

TEST_P(ReplayWindow, CheckMovesOrMarks) {
  Window window;
  ASSERT_EQ(window.validate(100), Verdict::accept);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(window.check(5000), Verdict::accept);
    EXPECT_EQ(window.check(99), Verdict::accept);
    EXPECT_EQ(window.check(100), Verdict::duplicate);
  }
  EXPECT_EQ(window.validate(99), Verdict::accept);
}

TEST_P(ReplayWindow, RefusedCounterMovesOrMarks) {
  Both both;
  both.validate(4000);
  both.validate(100);
  both.validate(4000);
  EXPECT_TRUE(both.compare());
}

/// Fills part of the window below `highest`, so that whatever a jump clears wrongly shows.
void fill(Both& both, std::uint64_t highest, std::uint64_t stride) {
  const std::uint64_t from = highest < 1023 ? 0 : highest - 1023;
  for (std::uint64_t counter = from; counter < highest; counter += stride) {
    if (!both.validate(counter)) return;
  }
  both.validate(highest);
}

/// Jumps of 63 … 2,048 that begin or end at, before or after the edge of a word.
std::vector<std::uint64_t> jumps_at_word_edges() {
  std::vector<std::uint64_t> jumps;
  for (std::uint64_t edge = 64; edge <= 2048; edge += 64) {
    for (const std::uint64_t jump : {edge - 1, edge, edge + 1}) {
      if (jump <= 2048) jumps.push_back(jump);
    }
  }
  return jumps;
}

void jump_from_every_word_edge(std::uint64_t base) {
  for (std::uint64_t word = 0; word <= 16; ++word) {
    for (const std::uint64_t offset : {0U, 1U, 63U}) {
      const std::uint64_t highest = base + word * 64 + offset;
      for (const std::uint64_t stride : {1U, 7U}) {
        Both filled;
        fill(filled, highest, stride);
        for (const std::uint64_t jump : jumps_at_word_edges()) {
          Both both = filled;
          if (!both.validate(highest + jump) || !both.compare()) {
            FAIL() << "from " << highest << " by " << jump;
          }
        }
      }
    }
  }
}

TEST_P(ReplayWindow, JumpClearsTooMuchOrTooLittleAtTheStart) {
  jump_from_every_word_edge(0);
}
TEST_P(ReplayWindow, JumpClearsTooMuchOrTooLittleLater) {
  jump_from_every_word_edge(1 << 20);
}
TEST_P(ReplayWindow, JumpClearsTooMuchOrTooLittleNearTheEnd) {
  jump_from_every_word_edge(end_of_counters - 17 * 64 - 64 - 2048);
}

TEST_P(ReplayWindow, EndOfTheCountersWrapsAround) {
  for (std::uint64_t below = 0; below <= 2100; below += below < 130 ? 1 : 61) {
    Both both;
    fill(both, end_of_counters - below, 3);
    ASSERT_TRUE(both.compare()) << below;
    if (below != 0) both.validate(end_of_counters);
    ASSERT_TRUE(both.compare()) << below;
    both.validate(0);
    both.validate(end_of_counters);
    both.validate(end_of_counters - 1);
    ASSERT_TRUE(both.compare()) << below;
  }
}

/// Walks that mix steps, reordering, repeats and jumps.
void walk(std::uint64_t start, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto up_to = [&random](std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound)(random);
  };
  Both both;
  both.validate(start);
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t highest = both.model.highest();
    const std::uint64_t room = end_of_counters - highest;
    std::uint64_t counter = highest;
    switch (up_to(5)) {
      case 0:
      case 1:
        counter += std::min(room, up_to(2));
        break;
      case 2:
        counter += std::min(room, 63 + up_to(2048 - 63));
        break;
      case 3:
        counter -= std::min(highest, up_to(70));
        break;
      default:
        counter -= std::min(highest, up_to(1100));
        break;
    }
    ASSERT_TRUE(both.validate(counter)) << "seed " << seed << ", step " << step;
  }
  ASSERT_TRUE(both.compare()) << "seed " << seed;
}

TEST_P(ReplayWindow, RandomWalkDiffersFromTheModel) {
  for (std::uint32_t seed = 0; seed < 40; ++seed)
    walk(seed, seed);
}

TEST_P(ReplayWindow, RandomWalkNearTheEndDiffersFromTheModel) {
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    walk(end_of_counters - 1'000'000 - seed * 64'000, seed);
  }
}

TEST_P(ReplayWindow, TakesMoreThan144Bytes) {
  EXPECT_EQ(sizeof(Window), 144U);
}

}  // namespace
}  // namespace lp::replay
