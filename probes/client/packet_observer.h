// What can be watched on a connection: every frame as it passes, and what was inside.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/wire/packet.h"

namespace lp::probe::client {

enum class Direction : std::uint8_t { sent, received };

/// One frame. Views are good during the call.
struct PacketEvent {
  Direction direction = Direction::sent;
  MonotonicTime time;                  ///< when it was handed to the kernel, or cut from the stream
  ByteView packet;                     ///< without its frame length
  std::optional<wire::Header> header;  ///< nothing where the header cannot be parsed
};

/// Called on the thread that uses the client, between its system calls: be quick.
class PacketObserver {
 public:
  virtual ~PacketObserver() = default;
  virtual void on_packet(const PacketEvent& event) = 0;
  /// The plaintext of an EncryptedData packet: before it is sent, after it was received. It holds
  /// the ticket and keys.
  virtual void on_plaintext(Direction direction, ByteView plaintext) = 0;
};

}  // namespace lp::probe::client
