// lp-probe decode: frames from a file, standard input or the command line, as text.
#pragma once

#include <cstdio>
#include <string>

#include "probes/packet_text.h"

namespace lp::probe {

/// Decodes frames one after another, or one bare packet (a frame begins with a zero byte, a packet
/// with its version). `failures` counts what did not decode.
struct Decoded {
  std::string text;
  std::size_t frames = 0;
  std::size_t failures = 0;
};
[[nodiscard]] Decoded decode_frames(ByteView input, Secrets secrets);

/// `input` is "-", a file (binary, or hexadecimal text) or hexadecimal. Returns the exit status: 0,
/// 2 where something did not decode, 66 where there is nothing to read.
[[nodiscard]] int run_decode(const std::string& input, Secrets secrets, std::FILE* in,
                             std::FILE* out, std::FILE* err);

}  // namespace lp::probe
