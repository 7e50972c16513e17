// What a replay kernel is: the state of a window, and the two functions that move it.
//
// The kernels are compiled for instruction sets that the machine may lack, so what they include
// must define no function that the linker could share with other objects: it might keep the copy
// that only some machines can run. Hence plain arrays here, and no inline function.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lp::replay {

enum class Verdict : std::uint8_t { accept, duplicate, too_old };

constexpr std::uint64_t word_bits = 64;
constexpr std::uint64_t ring_words = 16;

/// The bits of the counters accepted, 64 to a word; counter c is bit c % 64 of word c / 64. All
/// zero before the first counter.
///
/// The last 1,024 counters touch 17 words: the one with the highest counter is begun, the oldest is
/// half gone. The ring has the newest 16; `oldest` is the word that the head has overwritten. So no
/// word of the ring holds counters of two ages, and advancing stores whole words or nothing.
struct State {
  std::uint64_t ring[ring_words];  ///< word w, head - 16 < w <= head, at w % 16
  std::uint64_t head;              ///< the word of the highest counter accepted
  std::uint64_t oldest;            ///< word head - 16
};

/// Functions on a state, of one instruction set. Kernels differ in speed alone.
struct Kernel {
  const char* name;  ///< as LP_REPLAY_KERNEL has it
  /// Makes `word` the head, its bits and those passed over zero. `word` > head. The caller marks a
  /// counter in it before anything else: the highest counter is found by the head's highest bit.
  void (*open)(State* state, std::uint64_t word) noexcept;
  /// Writes to verdicts[i] what validating counters[0 … i] one after another says of the last.
  void (*batch)(State* state, const std::uint64_t* counters, std::size_t count,
                Verdict* verdicts) noexcept;
};

}  // namespace lp::replay
