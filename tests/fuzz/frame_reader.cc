// A stream gives the same packets, or the same error, in whatever pieces it arrives; and what the
// framer lets through, the packet parser takes or refuses without harm.
#include <algorithm>
#include <optional>
#include <vector>

#include "lib/wire/frame_reader.h"
#include "lib/wire/packet.h"
#include "tests/fuzz/require.h"

namespace {

struct Outcome {
  std::vector<lp::Bytes> packets;
  std::optional<lp::Error> error;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(lp::ByteView stream, std::size_t piece, std::size_t max_size) {
  Outcome outcome;
  lp::wire::FrameReader reader;
  while (!stream.empty() && !outcome.error) {
    const std::size_t size = std::min(piece, stream.size());
    reader.append(lp::Bytes(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size)));
    stream = stream.subspan(size);
    for (;;) {
      const auto packet = reader.next(max_size);
      if (!packet) outcome.error = packet.error();
      if (!packet || !*packet) break;
      require((*packet)->size() <= max_size);
      outcome.packets.emplace_back((*packet)->begin(), (*packet)->end());
    }
  }
  return outcome;
}

void parse(lp::ByteView packet) {
  const auto parsed = lp::wire::parse_packet(packet);
  if (!parsed) {
    // The framer has checked everything else.
    require(parsed.error() == lp::Error::busy_with_content ||
            parsed.error() == lp::Error::client_hello_size);
    return;
  }
  require(parsed->content.size() == packet.size() - lp::wire::min_packet_size);
  if (const auto hello = lp::wire::ClientHello::from_packet(*parsed)) {
    lp::Bytes frame;
    hello->append_frame(frame);
    require(std::ranges::equal(
        lp::ByteView(frame).subspan(lp::wire::frame_length_size + lp::wire::header_size,
                                    lp::wire::client_hello_content_size),
        parsed->content));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = std::size_t{data[0]} + 1;
  const std::size_t max_size = data[1] < 128 ? lp::wire::max_packet_size : data[1];
  const lp::ByteView stream(data + 2, size - 2);
  const Outcome whole = read(stream, size, max_size);
  require(read(stream, piece, max_size) == whole);
  for (const auto& packet : whole.packets)
    parse(packet);
  return 0;
}
