#include "probes/packet_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "lib/base/encoding.h"
#include "lib/messages/registration.h"
#include "lib/wire/packet.h"
#include "probes/errors.h"

namespace lp::probe {
namespace {

constexpr std::size_t bytes_per_line = 16;
constexpr std::size_t key_size = 32;

/// The bytes [begin, end) of a packet that hold a key.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::string dump(ByteView bytes, Range hidden, std::string_view indent) {
  std::string out;
  for (std::size_t line = 0; line < bytes.size(); line += bytes_per_line) {
    fmt::format_to(std::back_inserter(out), "{}  {:04x} ", indent, line);
    for (std::size_t i = line; i < std::min(line + bytes_per_line, bytes.size()); ++i) {
      if (i >= hidden.begin && i < hidden.end) {
        out += " ..";
      } else {
        fmt::format_to(std::back_inserter(out), " {:02x}", bytes[i]);
      }
    }
    out += '\n';
  }
  return out;
}

std::string moment(UnixSeconds time) {
  // Beyond the year 9999 a date says nothing.
  constexpr UnixSeconds last = 253'402'300'799;
  if (time > last) return fmt::format("{}", time);
  return fmt::format("{} ({:%Y-%m-%d %H:%M:%S} UTC)", time,
                     fmt::gmtime(static_cast<std::time_t>(time)));
}

std::string shown(Secrets secrets, std::string text) {
  return secrets == Secrets::shown ? std::move(text) : std::string(redacted);
}

/// Where a packet carries a public key in the clear.
Range key_in(const wire::PacketView& packet) {
  const bool hello = packet.header.type == wire::MessageType::client_hello;
  // Messages 1 and 2 begin with the ephemeral key; in message 3 everything is encrypted.
  const bool ephemeral = packet.header.type == wire::MessageType::handshake &&
                         packet.content.size() == wire::noise_message_1_size;
  if (!hello && !ephemeral) return {};
  return {wire::header_size, wire::header_size + key_size};
}

std::string describe_content(const wire::PacketView& packet, Secrets secrets,
                             std::string_view indent) {
  if (packet.header.type == wire::MessageType::client_hello) {
    const auto key = packet.content.first(key_size);
    const auto salt = packet.content.subspan(key_size);
    return fmt::format("{0}  client key {1}\n{0}  timestamp  {2}\n", indent,
                       shown(secrets, to_base58(key)), moment(load_le<UnixSeconds>(salt.data())));
  }
  if (packet.header.type == wire::MessageType::handshake) {
    const std::string_view what =
        packet.content.size() == wire::noise_message_1_size   ? "message 1 or 2: e, tag"
        : packet.content.size() == wire::noise_message_3_size ? "message 3: s, tag"
                                                              : "no Noise message of LP";
    return fmt::format("{}  {}\n", indent, what);
  }
  return {};
}

}  // namespace

std::string describe_packet(ByteView packet, Secrets secrets, std::string_view indent) {
  const auto parsed = wire::parse_packet(packet);
  if (!parsed) {
    return fmt::format("{}{} bytes that are no packet: {} ({})\n", indent, packet.size(),
                       gloss(parsed.error()), lp::name(parsed.error())) +
           dump(packet, {}, indent);
  }
  const auto& header = parsed->header;
  std::string out =
      fmt::format("{}{} packet {} content {} version {} session {:#010x} counter {}\n", indent,
                  wire::name(header.type), packet.size(), parsed->content.size(), header.version,
                  header.session_id, header.counter);
  out += describe_content(*parsed, secrets, indent);
  out += dump(packet, secrets == Secrets::shown ? Range{} : key_in(*parsed), indent);
  return out;
}

std::string describe_request(ByteView plaintext, Secrets secrets, std::string_view indent) {
  const auto request = messages::decode_request(plaintext);
  if (!request) {
    return fmt::format("{}plaintext {}: no request: {}\n", indent, plaintext.size(),
                       gloss(request.error()));
  }
  std::string out =
      fmt::format("{}plaintext {}: LpRegistrationRequest\n", indent, plaintext.size());
  const auto line = [&](std::string_view name, const std::string& value) {
    out += fmt::format("{}  {:<16} {}\n", indent, name, value);
  };
  line("mode", std::string(messages::name(request->mode)));
  if (const auto* mixnet = std::get_if<messages::Mixnet>(&request->mode)) {
    line("client_id", shown(secrets, to_hex(mixnet->client_id)));
  }
  line("ticket_type", std::string(messages::name(request->ticket_type)));
  line("wg_public_key", shown(secrets, printable(request->wg_public_key)));
  line("client_ip", messages::to_string(request->client_ip));
  line("timestamp", moment(request->timestamp));
  line("nullifier", shown(secrets, to_hex(request->credential.nullifier)));
  line("signature", fmt::format("{} bytes {}", request->credential.signature.size(),
                                shown(secrets, to_hex(request->credential.signature))));
  line("bandwidth_amount", fmt::format("{}", request->credential.bandwidth_amount));
  line("expiry", moment(request->credential.expiry));
  return out;
}

std::string describe_response(ByteView plaintext, Secrets secrets, std::string_view indent) {
  const auto response = messages::decode_response(plaintext);
  if (!response) {
    return fmt::format("{}plaintext {}: no response: {}\n", indent, plaintext.size(),
                       gloss(response.error()));
  }
  std::string out =
      fmt::format("{}plaintext {}: LpRegistrationResponse\n", indent, plaintext.size());
  const auto line = [&](std::string_view name, const std::string& value) {
    out += fmt::format("{}  {:<19} {}\n", indent, name, value);
  };
  line("success", response->success ? "true" : "false");
  line("error", response->error ? printable(*response->error) : "none");
  if (const auto& data = response->gateway_data) {
    line("public_key", shown(secrets, to_base64(data->public_key.bytes)));
    line("endpoint", messages::to_string(data->endpoint));
    line("private_ipv4", messages::to_string(data->private_ipv4));
    line("private_ipv6", messages::to_string(data->private_ipv6));
  } else {
    line("gateway_data", "none");
  }
  line("allocated_bandwidth", fmt::format("{}", response->allocated_bandwidth));
  line("session_id", fmt::format("{:#010x}", response->session_id));
  return out;
}

}  // namespace lp::probe
