#include "bench/replay/traces.h"

#include <algorithm>
#include <random>

namespace lp::bench {
namespace {

using Counters = std::vector<std::uint64_t>;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(engine_);
  }
  bool percent(std::uint64_t chance) { return between(0, 99) < chance; }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

Counters sequential(std::uint64_t) {
  Counters counters(trace_size);
  for (std::size_t i = 0; i < trace_size; ++i)
    counters[i] = i;
  return counters;
}

Counters shuffled(std::uint64_t seed, std::size_t block) {
  Random random(seed);
  Counters counters = sequential(seed);
  for (auto from = counters.begin(); from != counters.end();) {
    const auto to = from + static_cast<std::ptrdiff_t>(block);
    std::shuffle(from, to, random.engine());
    from = to;
  }
  return counters;
}

Counters duplicates(std::uint64_t seed) {
  Random random(seed);
  Counters counters = sequential(seed);
  for (std::size_t i = 1024; i < trace_size; ++i)
    counters[i] = random.between(0, 1023);
  return counters;
}

Counters twice(std::uint64_t) {
  Counters counters(trace_size);
  for (std::size_t i = 0; i < trace_size; ++i)
    counters[i] = i / 2;
  return counters;
}

Counters too_old(std::uint64_t seed) {
  constexpr std::uint64_t highest = 1'000'000;
  Random random(seed);
  Counters counters(trace_size, highest);
  for (std::size_t i = 1; i < trace_size; ++i)
    counters[i] = random.between(0, highest - 1024);
  return counters;
}

Counters jumps(std::uint64_t seed, std::uint64_t shortest, std::uint64_t longest) {
  Random random(seed);
  Counters counters(trace_size);
  std::uint64_t highest = 0;
  for (std::uint64_t& counter : counters)
    counter = highest += random.between(shortest, longest);
  return counters;
}

/// Each jump is followed by 15 of the counters that it has passed over.
Counters jumps_and_late(std::uint64_t seed) {
  Random random(seed);
  Counters counters;
  std::uint64_t highest = 0;
  while (counters.size() < trace_size) {
    const std::uint64_t jump = random.between(100, 500);
    highest += jump;
    counters.push_back(highest);
    Counters passed(jump - 1);
    for (std::size_t i = 0; i < passed.size(); ++i)
      passed[i] = highest - 1 - i;
    std::ranges::sample(passed, std::back_inserter(counters), 15, random.engine());
    std::shuffle(counters.end() - 15, counters.end(), random.engine());
  }
  counters.resize(trace_size);
  return counters;
}

Counters loss(std::uint64_t seed) {
  Random random(seed);
  Counters counters;
  for (std::uint64_t counter = 0; counters.size() < trace_size; ++counter) {
    if (!random.percent(5)) counters.push_back(counter);
  }
  return counters;
}

/// 90 % in order, 9 % held back for up to 200 packets, 1 % one of the last ten once more.
Counters mixed(std::uint64_t seed) {
  struct Late {
    std::size_t due;
    std::uint64_t counter;
  };
  Random random(seed);
  Counters counters;
  std::vector<Late> held;
  std::uint64_t next = 0;
  while (counters.size() < trace_size) {
    const auto due = [&counters](const Late& late) { return late.due <= counters.size(); };
    for (auto late = std::ranges::find_if(held, due); late != held.end();
         late = std::ranges::find_if(held, due)) {
      counters.push_back(late->counter);
      held.erase(late);
    }
    const std::uint64_t chance = random.between(0, 99);
    if (chance < 90 || counters.size() < 10) {
      counters.push_back(next++);
    } else if (chance < 99) {
      held.push_back({counters.size() + random.between(1, 200), next++});
    } else {
      counters.push_back(counters[counters.size() - random.between(1, 10)]);
    }
  }
  counters.resize(trace_size);
  return counters;
}

constexpr TraceKind kinds[] = {
    {"sequential", "every counter in order", sequential},
    {"shuffled-64", "in any order within blocks of 64",
     [](std::uint64_t seed) { return shuffled(seed, 64); }},
    {"shuffled-1024", "in any order within blocks of 1,024",
     [](std::uint64_t seed) { return shuffled(seed, 1024); }},
    {"duplicates", "a full window, then any of its 1,024 counters", duplicates},
    {"twice", "each counter twice", twice},
    {"too-old", "one counter, then any below its window", too_old},
    {"long-jumps", "each 1,025 to 5,120 above the last",
     [](std::uint64_t seed) { return jumps(seed, 1025, 5120); }},
    {"jumps", "each 100 to 500 above the last",
     [](std::uint64_t seed) { return jumps(seed, 100, 500); }},
    {"jumps-late", "a jump of 100 to 500, then 15 of the counters passed over", jumps_and_late},
    {"loss", "in order, 5 % missing", loss},
    {"mixed", "90 % in order, 9 % delayed by up to 200, 1 % replayed", mixed},
};

}  // namespace

std::span<const TraceKind> trace_kinds() {
  return kinds;
}

}  // namespace lp::bench
