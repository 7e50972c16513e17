#include "lib/replay/known_answers.h"

#include <algorithm>

namespace lp::replay {
namespace {

/// Numerical Recipes' linear congruential generator; the high bits are the better ones.
class Generator {
 public:
  /// 0 … bound - 1.
  std::uint64_t below(std::uint64_t bound) noexcept {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 33) % bound;
  }

 private:
  std::uint64_t state_ = 1;
};

/// As Window::validate does it, with this kernel.
Verdict validate(const Kernel& kernel, State& state, std::uint64_t counter) noexcept {
  const std::uint64_t word = counter / word_bits;
  if (word > state.head) {
    kernel.open(&state, word);
    state.ring[word % ring_words] = std::uint64_t{1} << (counter % word_bits);
    return Verdict::accept;
  }
  Verdict verdict{};
  kernel.batch(&state, &counter, 1, &verdict);
  return verdict;
}

bool equal(const State& a, const State& b) noexcept {
  return std::ranges::equal(a.ring, b.ring) && a.head == b.head && a.oldest == b.oldest;
}

}  // namespace

Questions known_questions() noexcept {
  Questions counters{};
  Generator random;
  std::uint64_t highest = 0;
  std::size_t i = 0;
  const auto ask = [&](std::uint64_t counter) {
    if (i == counters.size()) return;
    counters[i++] = counter;
    highest = std::max(highest, counter);
  };
  while (i < counters.size()) {
    // Runs begin anywhere within a word and are long enough for a kernel's blocks.
    for (std::uint64_t left = 8 + random.below(17); left > 0; --left)
      ask(highest + 1);
    const std::uint64_t run = highest;
    switch (random.below(4)) {
      case 0:  // the same once more, in order
        for (std::uint64_t back = 24; back > 0; --back)
          ask(run - std::min(run, back));
        break;
      case 1:  // late ones, at and around the lower edge too
        for (std::uint64_t left = 6; left > 0; --left)
          ask(run - std::min(run, 900 + random.below(180)));
        break;
      case 2:  // a block out of order, with holes
        for (const std::uint64_t step : {9U, 4U, 2U, 7U, 1U, 12U, 5U, 10U})
          ask(run + step);
        break;
      default:
        break;
    }
    ask(highest + random.below(18 * word_bits));
    // What the jump must have kept and must have cleared.
    const std::uint64_t top = highest;
    for (std::uint64_t left = 8; left > 0; --left)
      ask(top - std::min(top, random.below(1040)));
  }
  return counters;
}

std::uint64_t digest(std::span<const Verdict> verdicts) noexcept {
  std::uint64_t hash = 14695981039346656037U;
  for (const Verdict verdict : verdicts)
    hash = (hash ^ static_cast<std::uint8_t>(verdict)) * 1099511628211U;
  return hash;
}

bool gives_known_answers(const Kernel& kernel) noexcept {
  const Questions questions = known_questions();
  std::array<Verdict, std::tuple_size_v<Questions>> answers{};

  State single{};
  for (std::size_t i = 0; i < questions.size(); ++i)
    answers[i] = validate(kernel, single, questions[i]);
  if (digest(answers) != known_digest) return false;

  answers.fill(Verdict{});
  State batch{};
  kernel.batch(&batch, questions.data(), questions.size(), answers.data());
  return digest(answers) == known_digest && equal(single, batch);
}

}  // namespace lp::replay
