// Which kernel is used: none that answers wrongly, and the one that is asked for only if it can be.
#include "lib/replay/dispatch.h"

#include <gtest/gtest.h>

#include <cstring>

#include "lib/replay/kernels/kernels.h"
#include "lib/replay/known_answers.h"
#include "tests/lib/replay/model.h"

namespace lp::replay {
namespace {

// Kernels with one mistake each.

void clears_one_word_too_few(State* state, std::uint64_t word) noexcept {
  State copy = *state;
  kernels::scalar_open(state, word);
  if (word - copy.head == 3) {
    state->ring[(word - 1) % ring_words] = copy.ring[(word - 1) % ring_words];
  }
}
void clears_one_word_too_many(State* state, std::uint64_t word) noexcept {
  kernels::scalar_open(state, word);
  state->ring[(word + 1) % ring_words] = 0;
}
void forgets_the_oldest_word(State* state, std::uint64_t word) noexcept {
  kernels::scalar_open(state, word);
  state->oldest = 0;
}
void keeps_the_oldest_word(State* state, std::uint64_t word) noexcept {
  const std::uint64_t before = state->oldest;
  kernels::scalar_open(state, word);
  state->oldest = before;
}
void takes_a_far_jump_for_a_short_one(State* state, std::uint64_t word) noexcept {
  const std::uint64_t before = state->ring[3];
  const bool far = word - state->head > ring_words;
  kernels::scalar_open(state, word);
  if (far && word % ring_words != 3) state->ring[3] = before;
}
void accepts_all(State* state, const std::uint64_t* counters, std::size_t count,
                 Verdict* verdicts) noexcept {
  kernels::scalar.batch(state, counters, count, verdicts);
  if (count > 1) std::memset(verdicts, 0, count);
}
void calls_old_ones_duplicates(State* state, const std::uint64_t* counters, std::size_t count,
                               Verdict* verdicts) noexcept {
  kernels::scalar.batch(state, counters, count, verdicts);
  for (std::size_t i = 0; i < count; ++i) {
    if (verdicts[i] == Verdict::too_old) verdicts[i] = Verdict::duplicate;
  }
}
void forgets_the_last(State* state, const std::uint64_t* counters, std::size_t count,
                      Verdict* verdicts) noexcept {
  kernels::scalar.batch(state, counters, count, verdicts);
  if (count > 1) {
    state->ring[counters[count - 1] / word_bits % ring_words] &=
        ~(std::uint64_t{1} << (counters[count - 1] % word_bits));
  }
}

constexpr auto open = kernels::scalar_open;
void batch(State* state, const std::uint64_t* counters, std::size_t count,
           Verdict* verdicts) noexcept {
  kernels::scalar.batch(state, counters, count, verdicts);
}

const Kernel right = {"right", open, batch};
const Kernel wrong = {"wrong", clears_one_word_too_few, batch};

TEST(ReplayKnownAnswers, AreNotTheModels) {
  Model model;
  std::vector<Verdict> answers;
  std::size_t far = 0;
  std::uint64_t highest = 0;
  for (const std::uint64_t counter : known_questions()) {
    answers.push_back(model.validate(counter));
    if (counter / word_bits > highest / word_bits + ring_words) ++far;
    highest = std::max(highest, counter);
  }
  EXPECT_EQ(digest(answers), known_digest);
  // They would prove little without enough of each.
  EXPECT_GT(std::ranges::count(answers, Verdict::duplicate), 300);
  EXPECT_GT(std::ranges::count(answers, Verdict::too_old), 30);
  EXPECT_GT(far, 2U);
}

TEST(ReplayKnownAnswers, WrongKernelPasses) {
  EXPECT_TRUE(gives_known_answers(right));
  for (const auto wrong_open :
       {clears_one_word_too_few, clears_one_word_too_many, forgets_the_oldest_word,
        keeps_the_oldest_word, takes_a_far_jump_for_a_short_one}) {
    EXPECT_FALSE(gives_known_answers({"wrong", wrong_open, batch}));
  }
  for (const auto wrong_batch : {accepts_all, calls_old_ones_duplicates, forgets_the_last}) {
    EXPECT_FALSE(gives_known_answers({"wrong", open, wrong_batch}));
  }
}

TEST(ReplayDispatch, KernelOfThisMachineAnswersWrongly) {
  for (const Kernel* kernel : supported_kernels()) {
    EXPECT_TRUE(gives_known_answers(*kernel)) << kernel->name;
  }
  EXPECT_TRUE(selection().wrong.empty());
  EXPECT_EQ(active_kernel, selection().kernel);
}

TEST(ReplayDispatch, BestIsNotChosen) {
  const Candidate kernels[] = {{&right, true}, {&kernels::scalar, true}};
  for (const char* asked : {static_cast<const char*>(nullptr), ""}) {
    const Selection selection = select(kernels, asked);
    EXPECT_EQ(selection.kernel, &right);
    EXPECT_EQ(selection.asked, Selection::Asked::nothing);
    EXPECT_EQ(describe(selection), "right");
  }
}

TEST(ReplayDispatch, UnsupportedKernelIsRun) {
  // Its functions are null: called, it would crash.
  const Kernel alien = {"alien", nullptr, nullptr};
  const Candidate kernels[] = {{&alien, false}, {&kernels::scalar, true}};
  EXPECT_EQ(select(kernels, nullptr).kernel, &kernels::scalar);
  const Selection selection = select(kernels, "alien");
  EXPECT_EQ(selection.kernel, &kernels::scalar);
  EXPECT_EQ(describe(selection),
            "scalar (LP_REPLAY_KERNEL=alien ignored: not supported by this processor)");
}

TEST(ReplayDispatch, WrongKernelIsUsedOrNotReported) {
  const Candidate kernels[] = {{&wrong, true}, {&kernels::scalar, true}};
  const Selection chosen = select(kernels, nullptr);
  EXPECT_EQ(chosen.kernel, &kernels::scalar);
  EXPECT_EQ(describe(chosen), "scalar (not used, for they gave wrong answers: wrong)");
  const Selection asked = select(kernels, "wrong");
  EXPECT_EQ(asked.kernel, &kernels::scalar);
  EXPECT_EQ(asked.asked, Selection::Asked::wrong);
  EXPECT_EQ(
      describe(asked),
      "scalar (LP_REPLAY_KERNEL=wrong ignored) (not used, for they gave wrong answers: wrong)");
}

TEST(ReplayDispatch, NoRightKernelAndYetOneIsChosen) {
  const Candidate kernels[] = {{&wrong, true}};
  EXPECT_EQ(select(kernels, nullptr).kernel, nullptr);
  EXPECT_EQ(select(kernels, "wrong").kernel, nullptr);
}

TEST(ReplayDispatch, KernelAskedForIsNotUsed) {
  const Candidate kernels[] = {{&right, true}, {&kernels::scalar, true}};
  const Selection selection = select(kernels, "scalar");
  EXPECT_EQ(selection.kernel, &kernels::scalar);
  EXPECT_EQ(selection.asked, Selection::Asked::used);
  EXPECT_EQ(describe(selection), "scalar (LP_REPLAY_KERNEL)");
}

TEST(ReplayDispatch, UnknownNameIsTakenOrBreaksTheLine) {
  const Candidate kernels[] = {{&right, true}, {&kernels::scalar, true}};
  EXPECT_EQ(describe(select(kernels, "avx9")),
            "right (LP_REPLAY_KERNEL=avx9 ignored: this build has right, scalar)");
  EXPECT_EQ(describe(select(kernels, "a\nb\x1b[31m")),
            "right (LP_REPLAY_KERNEL=a?b?[31m ignored: this build has right, scalar)");
  EXPECT_EQ(describe(select(kernels, std::string(5000, 'x').c_str())),
            "right (LP_REPLAY_KERNEL=" + std::string(32, 'x') +
                "... ignored: this build has right, scalar)");
}

}  // namespace
}  // namespace lp::replay
