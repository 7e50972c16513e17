// Cuts a byte stream into packets. Memory follows the bytes received, never the length prefix.
#pragma once

#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/wire/format.h"

namespace lp::wire {

/// A stream framer. Not thread-safe. After an error it stays in error: a stream that has lost its
/// frames cannot be read on.
class FrameReader {
 public:
  /// Adds bytes that arrived.
  void append(ByteView bytes);

  /// The next whole packet, without its length; good until the next call of append or next.
  /// Nothing where more bytes are needed. `max_size` is the largest packet that the caller's state
  /// takes. Checks come as early as their bytes: frame_oversize and packet_too_short on the length,
  /// version_unsupported and message_type_unknown on the header, then packet_size_unexpected where
  /// the length is over `max_size`, all before the content has arrived.
  [[nodiscard]] Result<std::optional<ByteView>> next(std::size_t max_size = max_packet_size);

  /// Bytes appended and not yet returned as a packet.
  [[nodiscard]] std::size_t buffered() const noexcept;
  /// Gives back the memory where nothing is buffered.
  void shrink();

 private:
  Bytes buffer_;
  std::size_t begin_ = 0;
  std::optional<Error> error_;
};

}  // namespace lp::wire
