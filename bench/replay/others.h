// The algorithms that others use, written here from their descriptions, each with a window of 1,024
// counters. Plain C++ in a header, as the window of this library is, so that all are inlined alike.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace lp::bench {

/// The ring of RFC 6479, appendix A, as the Linux kernel has it for WireGuard: a window that
/// advances clears the whole words it enters, one after the other. For that the ring is larger than
/// the window; to stay a power of two it has twice the bits. Without the kernel's lock and its
/// atomic bit operation, which this comparison is not about. 264 bytes.
class LinuxRing {
 public:
  bool accepts(std::uint64_t counter) {
    // The kernel's counters begin at 1 inside, so that 0 can mean that none was seen.
    ++counter;
    if (counter + (window - 1) < counter_) return false;
    std::uint64_t index = counter / 64;
    if (counter > counter_) {
      const std::uint64_t current = counter_ / 64;
      const std::uint64_t top = std::min<std::uint64_t>(index - current, words);
      for (std::uint64_t i = 1; i <= top; ++i)
        backtrack_[(current + i) % words] = 0;
      counter_ = counter;
    }
    index %= words;
    const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
    const std::uint64_t before = backtrack_[index];
    backtrack_[index] = before | bit;
    return (before & bit) == 0;
  }

 private:
  static constexpr std::uint64_t window = 1024;
  static constexpr std::uint64_t words = 32;
  std::uint64_t counter_ = 0;
  std::array<std::uint64_t, words> backtrack_{};
};

/// A bitmap addressed by the counter modulo its size. What the window passes over is cleared bit by
/// bit, at most all of it. 136 bytes.
class BitClearing {
 public:
  bool accepts(std::uint64_t counter) {
    const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
    if (counter < next_) {
      if (next_ - counter > window) return false;
      std::uint64_t& word = bitmap_[counter / 64 % words];
      if ((word & bit) != 0) return false;
      word |= bit;
      return true;
    }
    const std::uint64_t passed = std::min(counter - next_, window);
    for (std::uint64_t i = 1; i <= passed; ++i) {
      const std::uint64_t gone = counter - i;
      bitmap_[gone / 64 % words] &= ~(std::uint64_t{1} << (gone % 64));
    }
    bitmap_[counter / 64 % words] |= bit;
    next_ = counter + 1;
    return true;
  }

 private:
  static constexpr std::uint64_t window = 1024;
  static constexpr std::uint64_t words = window / 64;
  std::uint64_t next_ = 0;
  std::array<std::uint64_t, words> bitmap_{};
};

/// A bitmap whose first bit is the highest counter: all of it is shifted whenever the window
/// advances, whole words and the rest of the distance in one pass. 144 bytes.
class Shifting {
 public:
  bool accepts(std::uint64_t counter) {
    if (any_ == 0 || counter > highest_) {
      if (any_ != 0) advance(counter - highest_);
      any_ = 1;
      highest_ = counter;
      bitmap_[0] |= 1;
      return true;
    }
    const std::uint64_t back = highest_ - counter;
    if (back >= window) return false;
    std::uint64_t& word = bitmap_[back / 64];
    const std::uint64_t bit = std::uint64_t{1} << (back % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }

 private:
  static constexpr std::uint64_t window = 1024;
  static constexpr std::size_t words = window / 64;

  void advance(std::uint64_t distance) {
    if (distance >= window) {
      bitmap_.fill(0);
      return;
    }
    const std::size_t whole = distance / 64;
    const auto rest = static_cast<unsigned>(distance % 64);
    if (rest == 0) {
      for (std::size_t i = words; i-- > whole;)
        bitmap_[i] = bitmap_[i - whole];
    } else {
      for (std::size_t i = words; i-- > whole + 1;)
        bitmap_[i] = (bitmap_[i - whole] << rest) | (bitmap_[i - whole - 1] >> (64 - rest));
      bitmap_[whole] = bitmap_[0] << rest;
    }
    for (std::size_t i = 0; i < whole; ++i)
      bitmap_[i] = 0;
  }

  std::uint64_t highest_ = 0;
  std::uint64_t any_ = 0;
  std::array<std::uint64_t, words> bitmap_{};
};

}  // namespace lp::bench
