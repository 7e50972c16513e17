#include "probes/trace.h"

#include <fmt/format.h>

#include "probes/options/values.h"

namespace lp::probe {
namespace {

constexpr char arrow(client::Direction direction) {
  return direction == client::Direction::sent ? '>' : '<';
}

void put(std::FILE* out, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), out);
}

}  // namespace

Trace::Trace(std::FILE* out, Secrets secrets)
    : out_(out), secrets_(secrets), start_(std::chrono::steady_clock::now()) {}

void Trace::on_packet(const client::PacketEvent& event) {
  put(out_,
      fmt::format("{} {:.6f} ", arrow(event.direction), options::to_seconds(event.time - start_)) +
          describe_packet(event.packet, secrets_));
}

void Trace::on_plaintext(client::Direction direction, ByteView plaintext) {
  put(out_, fmt::format("{} {:.6f} ", arrow(direction),
                        options::to_seconds(std::chrono::steady_clock::now() - start_)) +
                (direction == client::Direction::sent ? describe_request(plaintext, secrets_)
                                                      : describe_response(plaintext, secrets_)));
}

}  // namespace lp::probe
