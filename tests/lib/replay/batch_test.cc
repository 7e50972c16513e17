// A batch says what single calls in order say, whatever the counters, the size and the place of the
// batch, and leaves the window as they do.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "lib/replay/window.h"
#include "tests/lib/replay/model.h"

namespace lp::replay {
namespace {

struct Trace {
  std::string name;
  std::vector<std::uint64_t> counters;
};

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::uint64_t up_to(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound)(engine_);
  }
  std::mt19937& engine() { return engine_; }

 private:
  std::mt19937 engine_;
};

constexpr std::size_t trace_size = 3000;

std::vector<std::uint64_t> in_order(std::uint64_t from) {
  std::vector<std::uint64_t> counters(trace_size);
  for (std::size_t i = 0; i < trace_size; ++i)
    counters[i] = from + i;
  return counters;
}

/// Runs in order, each broken off by something else: what takes a kernel out of its blocks and
/// back.
std::vector<std::uint64_t> broken_runs(std::uint64_t from, Random& random) {
  std::vector<std::uint64_t> counters;
  std::uint64_t highest = from;
  const auto add = [&](std::uint64_t counter) {
    counters.push_back(counter);
    highest = std::max(highest, counter);
  };
  const auto ahead = [&](std::uint64_t steps) {
    return highest + std::min(end_of_counters - highest, steps);
  };
  const auto behind = [&](std::uint64_t steps) { return highest - std::min(highest, steps); };
  while (counters.size() < trace_size) {
    for (std::uint64_t left = random.up_to(70); left > 0; --left)
      add(ahead(1));
    switch (random.up_to(7)) {
      case 0: {  // a block's worth out of order
        std::vector<std::uint64_t> block;
        for (std::uint64_t i = 1; i <= 32; ++i)
          block.push_back(ahead(i));
        std::ranges::shuffle(block, random.engine());
        for (const std::uint64_t counter : block)
          add(counter);
        break;
      }
      case 1:  // again, in order: a whole block of duplicates
        for (std::uint64_t i = 40; i > 0; --i)
          add(behind(i));
        break;
      case 2:  // each twice, so within a block
        for (int i = 0; i < 12; ++i) {
          add(ahead(1));
          add(highest);
        }
        break;
      case 3:  // a gap, later filled in order: a late block
        add(ahead(100));
        for (std::uint64_t i = 80; i > 40; --i)
          add(behind(i));
        break;
      case 4:
        add(ahead(random.up_to(1500)));
        break;
      case 5:  // around the lower edge
        for (int i = 0; i < 6; ++i)
          add(behind(950 + random.up_to(150)));
        break;
      case 6:  // to and over the edge of a word
        add(ahead(63 - highest % 64 + random.up_to(1)));
        break;
      default:  // half of a block seen before
        for (std::uint64_t i = 4; i > 0; --i)
          add(behind(i));
        break;
    }
  }
  counters.resize(trace_size);
  return counters;
}

std::vector<Trace> traces() {
  Random random(7);
  std::vector<Trace> all = {{"in order", in_order(0)},
                            {"in order from 37", in_order(37)},
                            {"to the end", in_order(end_of_counters - trace_size + 1)}};
  auto shuffled = in_order(64);
  for (std::size_t i = 0; i + 64 <= shuffled.size(); i += 64) {
    const auto block = shuffled.begin() + static_cast<std::ptrdiff_t>(i);
    std::shuffle(block, block + 64, random.engine());
  }
  all.push_back({"shuffled", shuffled});
  std::vector<std::uint64_t> scattered;
  for (std::size_t i = 0; i < trace_size; ++i)
    scattered.push_back(5000 + random.up_to(2000));
  all.push_back({"scattered", scattered});
  std::vector<std::uint64_t> anything;
  for (std::size_t i = 0; i < trace_size; ++i)
    anything.push_back(random.up_to(end_of_counters));
  all.push_back({"anything", anything});
  for (const std::uint64_t from :
       {std::uint64_t{0}, std::uint64_t{1} << 40, end_of_counters - 60'000}) {
    for (int i = 0; i < 8; ++i) {
      all.push_back({"broken runs from " + std::to_string(from), broken_runs(from, random)});
    }
  }
  return all;
}

constexpr auto untouched = Verdict{0x7f};

/// Validates a trace in batches of `size`, whose verdicts begin `shift` bytes from where memory is
/// aligned, and compares each verdict and, at the end, the window.
void compare(const Trace& trace, const std::vector<Verdict>& expected, std::size_t size,
             std::size_t shift) {
  Window window;
  Window single;
  std::vector<Verdict> verdicts(size + shift + 32, untouched);
  for (std::size_t i = 0; i < trace.counters.size(); i += size) {
    const auto counters =
        std::span(trace.counters).subspan(i, std::min(size, trace.counters.size() - i));
    std::ranges::fill(verdicts, untouched);
    window.validate(counters, std::span(verdicts).subspan(shift, counters.size()));
    for (std::size_t j = 0; j < counters.size(); ++j) {
      ASSERT_EQ(verdicts[shift + j], expected[i + j])
          << trace.name << ", batches of " << size << ", counter " << i + j << ": " << counters[j];
      single.validate(counters[j]);
    }
    ASSERT_EQ(verdicts[shift + counters.size()], untouched) << "written beyond the last verdict";
    if (shift > 0) {
      ASSERT_EQ(verdicts[shift - 1], untouched) << "written before the first verdict";
    }
  }
  const std::uint64_t highest = std::ranges::max(trace.counters);
  for (std::uint64_t back = 0; back <= std::min<std::uint64_t>(highest, 1100); ++back) {
    ASSERT_EQ(window.check(highest - back), single.check(highest - back)) << trace.name;
  }
}

class ReplayBatch : public testing::TestWithParam<const Kernel*> {
 protected:
  ReplayBatch() { use_kernel(*GetParam()); }
  ~ReplayBatch() override { use_kernel(*selection().kernel); }
};

INSTANTIATE_TEST_SUITE_P(Kernel, ReplayBatch, testing::ValuesIn(supported_kernels()),
                         [](const auto& parameter) { return parameter.param->name; });

TEST_P(ReplayBatch, DiffersFromTheModel) {
  for (const Trace& trace : traces()) {
    std::vector<Verdict> expected;
    Model model;
    for (const std::uint64_t counter : trace.counters)
      expected.push_back(model.validate(counter));
    for (const std::size_t size : {1U, 7U, 8U, 15U, 16U, 17U, 33U, 64U, 257U, 3000U}) {
      ASSERT_NO_FATAL_FAILURE(compare(trace, expected, size, size % 5));
    }
  }
}

TEST_P(ReplayBatch, DependsOnWhereTheCountersLie) {
  // A batch that begins at each counter of two words, so that its blocks are aligned with nothing.
  for (std::size_t before = 0; before < 128; ++before) {
    const Trace trace{"in order", in_order(0)};
    Window window;
    std::vector<Verdict> verdicts(trace.counters.size(), untouched);
    const auto counters = std::span(trace.counters);
    window.validate(counters.first(before), verdicts);
    window.validate(counters.subspan(before), std::span(verdicts).subspan(before));
    ASSERT_EQ(std::ranges::count(verdicts, Verdict::accept), std::ssize(counters)) << before;
    window.validate(counters.last(1000), std::span(verdicts).last(1000));
    ASSERT_EQ(std::ranges::count(verdicts, Verdict::duplicate), 1000) << before;
  }
}

TEST_P(ReplayBatch, GoesBeyondTheShorterSpan) {
  const auto counters = in_order(0);
  std::vector<Verdict> verdicts(40, untouched);
  Window window;
  window.validate(std::span(counters).first(64), std::span(verdicts).first(20));
  EXPECT_EQ(std::ranges::count(verdicts, Verdict::accept), 20);
  EXPECT_EQ(verdicts[20], untouched);
  EXPECT_EQ(window.check(19), Verdict::duplicate);
  EXPECT_EQ(window.check(20), Verdict::accept);
  window.validate({}, verdicts);
  window.validate(counters, {});
  EXPECT_EQ(window.check(20), Verdict::accept);
}

}  // namespace
}  // namespace lp::replay
