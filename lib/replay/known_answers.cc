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

class Asker {
 public:
  void ask(std::uint64_t counter) noexcept {
    if (full()) return;
    counters_[count_++] = counter;
    highest_ = std::max(highest_, counter);
  }
  void limit(std::size_t count) noexcept { limit_ = count; }
  [[nodiscard]] bool full() const noexcept { return count_ == limit_; }
  [[nodiscard]] std::uint64_t highest() const noexcept { return highest_; }
  [[nodiscard]] const Questions& counters() const noexcept { return counters_; }

 private:
  Questions counters_{};
  std::size_t count_ = 0;
  std::size_t limit_ = 0;
  std::uint64_t highest_ = 0;
};

void walk(Asker& questions) noexcept {
  Generator random;
  while (!questions.full()) {
    // Runs begin anywhere within a word and are long enough for a kernel's blocks.
    for (std::uint64_t left = 8 + random.below(17); left > 0; --left)
      questions.ask(questions.highest() + 1);
    const std::uint64_t run = questions.highest();
    switch (random.below(4)) {
      case 0:  // the same once more, in order
        for (std::uint64_t back = 24; back > 0; --back)
          questions.ask(run - std::min(run, back));
        break;
      case 1:  // late ones, at and around the lower edge too
        for (std::uint64_t left = 6; left > 0; --left)
          questions.ask(run - std::min(run, 900 + random.below(180)));
        break;
      case 2:  // a block out of order, with holes
        for (const std::uint64_t step : {9U, 4U, 2U, 7U, 1U, 12U, 5U, 10U})
          questions.ask(run + step);
        break;
      default:
        break;
    }
    questions.ask(questions.highest() + random.below(18 * word_bits));
    const std::uint64_t top = questions.highest();
    for (std::uint64_t left = 8; left > 0; --left)
      questions.ask(top - std::min(top, random.below(1040)));
  }
}

void jump(Asker& questions, std::uint64_t words) noexcept {
  // Bits in every word of the window, then the jump, then each of these counters again, and what
  // has its place in the ring 1,024 later.
  constexpr std::uint64_t stride = 13;
  constexpr std::uint64_t marks = 79;
  const std::uint64_t first = questions.highest();
  for (std::uint64_t i = 1; i <= marks; ++i)
    questions.ask(first + i * stride);
  questions.ask(questions.highest() + words * word_bits);
  const std::uint64_t top = questions.highest();
  for (std::uint64_t i = 1; i <= marks; ++i) {
    const std::uint64_t counter = first + i * stride;
    questions.ask(counter);
    if (counter + ring_words * word_bits <= top) questions.ask(counter + ring_words * word_bits);
  }
}

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
  Asker questions;
  questions.limit(2048);
  walk(questions);
  questions.limit(std::tuple_size_v<Questions>);
  for (std::uint64_t words = 1; words <= ring_words + 2; ++words)
    jump(questions, words);
  while (!questions.full())
    questions.ask(questions.highest() + 1);
  return questions.counters();
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
