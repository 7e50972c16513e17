// --trace: every packet of a connection, with its time, on a stream.
#pragma once

#include <cstdio>

#include "probes/client/packet_observer.h"
#include "probes/packet_text.h"

namespace lp::probe {

/// Writes as packets pass. Times count from the object's making.
class Trace final : public client::PacketObserver {
 public:
  Trace(std::FILE* out, Secrets secrets);

  void on_packet(const client::PacketEvent& event) override;
  void on_plaintext(client::Direction direction, ByteView plaintext) override;

 private:
  std::FILE* out_;
  Secrets secrets_;
  MonotonicTime start_;
};

}  // namespace lp::probe
