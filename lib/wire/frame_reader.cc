#include "lib/wire/frame_reader.h"

#include "lib/wire/packet.h"

namespace lp::wire {

void FrameReader::append(ByteView bytes) {
  if (error_) return;
  // Packets already returned make room first.
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<ByteView>> FrameReader::next(std::size_t max_size) {
  const auto refuse = [this](Error error) {
    error_ = error;
    begin_ = 0;
    buffer_ = Bytes();
    return fail(error);
  };
  if (error_) return fail(*error_);

  const ByteView input = ByteView(buffer_).subspan(begin_);
  if (input.size() < frame_length_size) return std::nullopt;
  const std::size_t length = load_be<std::uint32_t>(input.data());
  if (length > wire::max_packet_size) return refuse(Error::frame_oversize);
  if (length < min_packet_size) return refuse(Error::packet_too_short);

  const ByteView arrived = input.subspan(frame_length_size);
  if (arrived.size() < header_size) return std::nullopt;
  if (auto header = parse_header(arrived.first<header_size>()); !header) {
    return refuse(header.error());
  }
  if (length > max_size) return refuse(Error::packet_size_unexpected);

  if (arrived.size() < length) return std::nullopt;
  begin_ += frame_length_size + length;
  return arrived.first(length);
}

std::size_t FrameReader::buffered() const noexcept {
  return buffer_.size() - begin_;
}

void FrameReader::shrink() {
  if (buffered() != 0) return;
  buffer_ = Bytes();
  begin_ = 0;
}

}  // namespace lp::wire
