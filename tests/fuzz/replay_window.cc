// A replay window says what a set of counters says, with every kernel, one counter at a time and in
// batches of whatever size.
#include <algorithm>
#include <vector>

#include "lib/replay/window.h"
#include "tests/fuzz/require.h"
#include "tests/lib/replay/model.h"

namespace {

using lp::replay::Verdict;

/// Two bytes a counter, relative to the one before, so that short inputs reach every edge: one for
/// what to do, one for how far.
std::vector<std::uint64_t> counters_from(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> counters;
  std::uint64_t last = 0;
  for (std::size_t i = 0; i + 1 < size && counters.size() < 20'000; i += 2) {
    const std::uint64_t far = data[i + 1];
    switch (data[i] % 8) {
      case 0:  // a run
      case 1:
        for (std::uint64_t left = far % 80; left > 0; --left)
          counters.push_back(++last);
        break;
      case 2:
        counters.push_back(last += far);
        break;
      case 3:
        counters.push_back(last += far * 64);
        break;
      case 4:
        counters.push_back(last -= std::min(last, far));
        break;
      case 5:
        counters.push_back(last -= std::min(last, 900 + far));
        break;
      case 6:
        counters.push_back(last);
        break;
      default:
        counters.push_back(last = far << 56 | (far % 2 == 0 ? 0 : (std::uint64_t{1} << 56) - 100));
        break;
    }
  }
  return counters;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t batch_size = std::size_t{data[0]} + 1;
  const auto counters = counters_from(data + 1, size - 1);
  lp::replay::Model model;
  std::vector<Verdict> expected;
  for (const std::uint64_t counter : counters)
    expected.push_back(model.validate(counter));

  for (const lp::replay::Kernel* kernel : lp::replay::supported_kernels()) {
    lp::replay::use_kernel(*kernel);
    lp::replay::Window single;
    lp::replay::Window batch;
    std::vector<Verdict> verdicts(batch_size);
    for (std::size_t i = 0; i < counters.size(); i += batch_size) {
      const auto part = std::span(counters).subspan(i, std::min(batch_size, counters.size() - i));
      batch.validate(part, verdicts);
      for (std::size_t j = 0; j < part.size(); ++j) {
        require(single.check(part[j]) == expected[i + j]);
        require(single.validate(part[j]) == expected[i + j]);
        require(verdicts[j] == expected[i + j]);
      }
    }
  }
  return 0;
}
