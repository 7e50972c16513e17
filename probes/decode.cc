#include "probes/decode.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <expected>
#include <memory>
#include <optional>

#include "lib/base/encoding.h"
#include "lib/wire/packet.h"
#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe {
namespace {

constexpr std::size_t max_input = 16 * 1024 * 1024;

bool is_separator(std::uint8_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ':';
}

/// The bytes of hexadecimal text with white space or colons between; nothing for anything else.
std::optional<Bytes> bytes_of_hex(ByteView text) {
  std::string digits;
  for (const auto c : text) {
    if (!is_separator(c)) digits += static_cast<char>(c);
  }
  if (digits.empty()) return std::nullopt;
  auto bytes = from_hex(digits);
  return bytes ? std::optional(std::move(*bytes)) : std::nullopt;
}

std::expected<Bytes, std::string> read_all(std::FILE* file) {
  Bytes bytes;
  std::array<std::uint8_t, 65'536> chunk;
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), file)) {
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
    if (bytes.size() > max_input) return std::unexpected("more than 16 MiB");
  }
  if (std::ferror(file) != 0) return std::unexpected(client::errno_text(errno));
  return bytes;
}

std::expected<Bytes, std::string> read_input(const std::string& input, std::FILE* in) {
  std::expected<Bytes, std::string> bytes;
  if (input == "-") {
    bytes = read_all(in);
  } else {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(input.c_str(), "rb"),
                                                               std::fclose);
    if (!file) {
      const int error = errno;
      const ByteView text(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
      if (auto hex = bytes_of_hex(text)) return std::move(*hex);
      return std::unexpected(error == ENOENT ? "neither a file nor hexadecimal"
                                             : client::errno_text(error));
    }
    bytes = read_all(file.get());
  }
  if (!bytes) return bytes;
  if (auto hex = bytes_of_hex(*bytes)) return std::move(*hex);
  return bytes;
}

}  // namespace

Decoded decode_frames(ByteView input, Secrets secrets) {
  Decoded result;
  const auto add_failure = [&](std::size_t at, std::string_view what) {
    ++result.failures;
    result.text += fmt::format("at byte {}: {}\n", at, what);
  };
  const auto add_packet = [&](std::size_t at, ByteView packet) {
    ++result.frames;
    if (!wire::parse_packet(packet)) ++result.failures;
    result.text += fmt::format("{} at byte {}: ", result.frames, at);
    result.text += describe_packet(packet, secrets);
  };
  if (input.empty()) add_failure(0, "nothing to decode");
  std::size_t at = 0;
  while (at < input.size()) {
    const ByteView rest = input.subspan(at);
    if (rest[0] != 0 && at == 0) {
      add_packet(at, rest);
      break;
    }
    if (rest.size() < wire::frame_length_size) {
      add_failure(at, fmt::format("{} bytes where a frame's length has 4", rest.size()));
      break;
    }
    const std::size_t size = load_be<std::uint32_t>(rest.data());
    if (size > wire::max_packet_size) {
      add_failure(at, fmt::format("a frame of {} bytes, more than 65536", size));
      break;
    }
    if (size > rest.size() - wire::frame_length_size) {
      add_failure(at, fmt::format("a frame of {} bytes of which {} are there", size,
                                  rest.size() - wire::frame_length_size));
      break;
    }
    add_packet(at, rest.subspan(wire::frame_length_size, size));
    at += wire::frame_length_size + size;
  }
  return result;
}

int run_decode(const std::string& input, Secrets secrets, std::FILE* in, std::FILE* out,
               std::FILE* err) {
  const auto bytes = read_input(input, in);
  if (!bytes) {
    fmt::print(err, "lp-probe: decode: {}: {}\n", printable(input, 80), bytes.error());
    return exit_status::no_input;
  }
  const auto decoded = decode_frames(*bytes, secrets);
  std::fwrite(decoded.text.data(), 1, decoded.text.size(), out);
  return decoded.failures == 0 ? exit_status::ok : exit_status::failed;
}

}  // namespace lp::probe
