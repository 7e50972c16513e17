#include "lib/replay/window.h"

#include <algorithm>

namespace lp::replay {
namespace {

constexpr std::uint64_t word_bits = 64;
constexpr std::uint64_t ring_words = Window::size / word_bits;

using Ring = std::array<std::uint64_t, ring_words>;

// The counter itself is the address, so that moving the window moves no bits. The ring holds as
// many bits as the window has counters: within one window no two share a bit.
std::uint64_t& word_of(Ring& ring, std::uint64_t counter) noexcept {
  return ring[counter / word_bits % ring_words];
}
std::uint64_t bit_of(std::uint64_t counter) noexcept {
  return std::uint64_t{1} << (counter % word_bits);
}

/// Clears the bits of the counters first … last, at most Window::size of them.
///
/// Exactly these: a bit too few refuses a fresh packet as a duplicate, a bit too many accepts a
/// replay. The first and the last counter may share a word of the ring, 1,024 apart, and then each
/// keeps the other's half.
void clear(Ring& ring, std::uint64_t first, std::uint64_t last) noexcept {
  const std::uint64_t first_word = first / word_bits;
  const std::uint64_t last_word = last / word_bits;
  for (std::uint64_t word = first_word; word <= last_word; ++word) {
    std::uint64_t mask = ~std::uint64_t{0};
    if (word == first_word) mask &= ~std::uint64_t{0} << (first % word_bits);
    if (word == last_word) mask &= ~std::uint64_t{0} >> (word_bits - 1 - last % word_bits);
    ring[word % ring_words] &= ~mask;
  }
}

}  // namespace

Verdict Window::check(std::uint64_t counter) const noexcept {
  if (any_ == 0 || counter > highest_) return Verdict::accept;
  if (highest_ - counter >= size) return Verdict::too_old;
  const std::uint64_t word = bits_[counter / word_bits % ring_words];
  return (word & bit_of(counter)) != 0 ? Verdict::duplicate : Verdict::accept;
}

Verdict Window::validate(std::uint64_t counter) noexcept {
  const Verdict verdict = check(counter);
  if (verdict != Verdict::accept) return verdict;

  if (any_ == 0) {
    any_ = 1;
    highest_ = counter;
  } else if (counter > highest_) {
    if (counter - highest_ >= size) {
      bits_.fill(0);
    } else {
      clear(bits_, highest_ + 1, counter);
    }
    highest_ = counter;
  }
  word_of(bits_, counter) |= bit_of(counter);
  return Verdict::accept;
}

}  // namespace lp::replay
