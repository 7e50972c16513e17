// The replay kernels of another architecture, under an emulator: scripts/test-neon builds this with
// a cross compiler, with no library beyond the standard one. Prints the kernel in use; exit status
// 0 if every verdict is the model's.
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "lib/replay/dispatch.h"
#include "lib/replay/known_answers.h"
#include "lib/replay/window.h"
#include "tests/lib/replay/model.h"

namespace lp::replay {
namespace {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::uint64_t up_to(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound)(engine_);
  }

 private:
  std::mt19937 engine_;
};

/// Runs in order and out of order, repeats, late counters and jumps.
std::vector<std::uint64_t> counters_from(std::uint64_t highest, Random& random) {
  std::vector<std::uint64_t> counters;
  const auto ahead = [&](std::uint64_t steps) {
    highest += std::min(end_of_counters - highest, steps);
    counters.push_back(highest);
  };
  const auto behind = [&](std::uint64_t steps) {
    counters.push_back(highest - std::min(highest, steps));
  };
  while (counters.size() < 6000) {
    for (std::uint64_t left = random.up_to(90); left > 0; --left)
      ahead(1);
    switch (random.up_to(5)) {
      case 0:
        for (std::uint64_t i = 30; i > 0; --i)
          behind(i);
        break;
      case 1:
        for (std::uint64_t left = 12; left > 0; --left)
          behind(random.up_to(1100));
        break;
      case 2:
        ahead(64 * random.up_to(18) + random.up_to(2));
        break;
      case 3:  // a gap, filled backwards
        ahead(40);
        for (std::uint64_t i = 1; i < 40; ++i)
          behind(i);
        break;
      case 4:
        for (std::uint64_t left = 10; left > 0; --left) {
          ahead(1);
          behind(0);
        }
        break;
      default:
        ahead(random.up_to(1500));
        break;
    }
  }
  return counters;
}

bool compare(const std::vector<std::uint64_t>& counters, std::size_t batch_size) {
  Model model;
  Window single;
  Window batch;
  std::vector<Verdict> verdicts(batch_size);
  for (std::size_t i = 0; i < counters.size(); i += batch_size) {
    const auto part = std::span(counters).subspan(i, std::min(batch_size, counters.size() - i));
    batch.validate(part, verdicts);
    for (std::size_t j = 0; j < part.size(); ++j) {
      const Verdict checked = single.check(part[j]);
      const Verdict expected = model.validate(part[j]);
      if (checked != expected || single.validate(part[j]) != expected || verdicts[j] != expected) {
        std::printf("counter %llu, number %zu, batches of %zu: wrong verdict\n",
                    static_cast<unsigned long long>(part[j]), i + j, batch_size);
        return false;
      }
    }
  }
  return true;
}

bool check(const Kernel& kernel) {
  use_kernel(kernel);
  Random random(11);
  for (const std::uint64_t from :
       {std::uint64_t{0}, std::uint64_t{37}, std::uint64_t{1} << 40, end_of_counters - 40'000}) {
    for (int i = 0; i < 6; ++i) {
      const auto counters = counters_from(from, random);
      for (const std::size_t size : {1U, 7U, 8U, 9U, 31U, 64U, 257U, 6000U}) {
        if (!compare(counters, size)) return false;
      }
    }
  }
  return true;
}

}  // namespace
}  // namespace lp::replay

int main() {
  using namespace lp::replay;
  bool right = selection().wrong.empty();
  std::printf("in use: %s\n", describe(selection()).c_str());
  for (const Kernel* kernel : supported_kernels()) {
    const bool passed = gives_known_answers(*kernel) && check(*kernel);
    std::printf("%s: %s\n", kernel->name, passed ? "all verdicts right" : "WRONG");
    right = right && passed;
  }
  return right ? 0 : 1;
}
