// Writes the test vectors as a corpus: DIR/TARGET/NUMBER for every fuzzer.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/support/vectors.h"

namespace {

namespace fs = std::filesystem;
using lp::Bytes;
using lp::ByteView;

class Corpus {
 public:
  explicit Corpus(fs::path directory) : directory_(std::move(directory)) {}

  void add(const std::string& target, ByteView seed) {
    const fs::path folder = directory_ / target;
    fs::create_directories(folder);
    std::ofstream file(folder / std::to_string(count_[target]++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
  }

 private:
  fs::path directory_;
  std::map<std::string, int> count_;
};

void append_step(Bytes& seed, std::uint8_t kind, ByteView bytes) {
  seed.push_back(kind);
  seed.resize(seed.size() + 2);
  lp::store_le(seed.data() + seed.size() - 2, static_cast<std::uint16_t>(bytes.size()));
  seed.insert(seed.end(), bytes.begin(), bytes.end());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: lp_fuzz_seeds DIRECTORY\n", stderr);
    return 64;
  }
  Corpus corpus(argv[1]);
  const auto& vectors = lp::test::lp_v1();
  for (const auto& vector : vectors.requests)
    corpus.add("decode_request", vector.bincode);
  for (const auto& vector : vectors.responses)
    corpus.add("decode_response", vector.bincode);

  for (const auto& vector : vectors.handshakes) {
    Bytes stream{7, 0};
    for (std::uint8_t state = 0; state < 3; ++state) {
      Bytes steps{state};
      for (const auto& frame : vector.frames) {
        append_step(steps, 0, frame.packet());
        if (frame.plaintext) append_step(steps, 2, *frame.plaintext);
        if (frame.plaintext) append_step(steps, 3, *frame.plaintext);
        if (frame.plaintext) append_step(steps, 1, *frame.plaintext);
      }
      corpus.add("state_machine", steps);
    }
    for (const auto& frame : vector.frames) {
      stream.insert(stream.end(), frame.frame.begin(), frame.frame.end());
    }
    corpus.add("frame_reader", stream);
  }
  return 0;
}
