#include "tests/support/vectors.h"

#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "lib/base/encoding.h"

namespace lp::test {
namespace {

namespace json = boost::json;

std::string text(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

Bytes bytes(const json::object& object, std::string_view key) {
  return from_hex(object.at(key).as_string()).value();
}

ByteArray<32> bytes32(const json::object& object, std::string_view key) {
  const Bytes value = bytes(object, key);
  if (value.size() != 32) throw std::runtime_error(std::string(key) + " has not 32 bytes");
  return to_array<32>(value);
}

template <typename T>
T number(const json::object& object, std::string_view key) {
  return object.at(key).to_number<T>();
}

template <typename T, typename Convert>
std::vector<T> list(const json::object& object, std::string_view key, Convert convert) {
  std::vector<T> items;
  for (const auto& item : object.at(key).as_array())
    items.push_back(convert(item.as_object()));
  if (items.empty()) throw std::runtime_error(std::string(key) + " is empty");
  return items;
}

Blake3Vector blake3_vector(const json::object& object) {
  if (text(object, "input_rule") != "byte i = i % 251") throw std::runtime_error("input_rule");
  Blake3Vector vector;
  vector.context = text(object, "context");
  vector.hash = bytes32(object, "hash");
  vector.derived_key = bytes32(object, "derive_key");
  vector.input.resize(number<std::size_t>(object, "input_len"));
  for (std::size_t i = 0; i < vector.input.size(); ++i) {
    vector.input[i] = static_cast<std::uint8_t>(i % 251);
  }
  return vector;
}

FrameVector frame_vector(const json::object& object) {
  FrameVector vector;
  vector.from_client = text(object, "from") == "client";
  vector.session_id = number<std::uint32_t>(object, "session_id");
  vector.counter = number<std::uint64_t>(object, "counter");
  if (!object.at("plaintext").is_null()) vector.plaintext = bytes(object, "plaintext");
  vector.frame = bytes(object, "frame");
  return vector;
}

HandshakeVector handshake_vector(const json::object& object) {
  HandshakeVector vector;
  vector.gateway_seed = bytes32(object, "gateway_ed25519_seed");
  vector.gateway_identity.bytes = bytes32(object, "gateway_ed25519_public");
  vector.gateway_identity_base58 = text(object, "gateway_identity_base58");
  vector.gateway_secret = bytes32(object, "gateway_x25519_private");
  vector.gateway_public.bytes = bytes32(object, "gateway_x25519_public");
  vector.client_secret = bytes32(object, "client_x25519_private");
  vector.client_public.bytes = bytes32(object, "client_x25519_public");
  vector.client_public_base58 = text(object, "client_x25519_public_base58");
  vector.initiator_ephemeral = bytes32(object, "initiator_ephemeral_private");
  vector.responder_ephemeral = bytes32(object, "responder_ephemeral_private");
  vector.salt = bytes32(object, "salt");
  vector.psk = bytes32(object, "psk");
  vector.lp_id = number<std::uint32_t>(object, "lp_id");
  vector.handshake_hash = bytes32(object, "handshake_hash");
  vector.noise_message_1 = bytes(object, "noise_message_1");
  vector.noise_message_2 = bytes(object, "noise_message_2");
  vector.noise_message_3 = bytes(object, "noise_message_3");
  vector.frames = list<FrameVector>(object, "frames", frame_vector);
  return vector;
}

LpIdVector lp_id_vector(const json::object& object) {
  return {{bytes32(object, "a")}, {bytes32(object, "b")}, number<std::uint32_t>(object, "lp_id")};
}

OddPacketVector odd_packet_vector(const json::object& object) {
  return {text(object, "name"), bytes(object, "packet")};
}

messages::IpAddress ip(const json::object& object, std::string_view key) {
  return messages::ip_address_from_string(object.at(key).as_string()).value();
}

RequestVector request_vector(const json::object& object) {
  const auto& from = object.at("value").as_object();
  const auto& credential = from.at("credential").as_object();
  RequestVector vector;
  vector.bincode = bytes(object, "bincode");
  auto& value = vector.value;
  value.wg_public_key = text(from, "wg_public_key");
  value.credential.nullifier = bytes32(credential, "nullifier");
  value.credential.signature = bytes(credential, "signature");
  value.credential.bandwidth_amount = number<std::uint64_t>(credential, "bandwidth_amount");
  value.credential.expiry = number<std::uint64_t>(credential, "expiry");
  value.ticket_type = messages::ticket_type_from_name(text(from, "ticket_type")).value();
  if (const auto* mode = from.at("mode").if_object()) {
    value.mode = messages::Mixnet{bytes32(mode->at("Mixnet").as_object(), "client_id")};
  } else if (text(from, "mode") != "Dvpn") {
    throw std::runtime_error("mode");
  }
  value.client_ip = ip(from, "client_ip");
  value.timestamp = number<std::uint64_t>(from, "timestamp");
  return vector;
}

messages::SocketAddress endpoint(std::string_view from) {
  const std::size_t colon = from.rfind(':');
  std::string_view host = from.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  const std::string_view port = from.substr(colon + 1);
  messages::SocketAddress address{messages::ip_address_from_string(host).value(), 0};
  std::from_chars(port.data(), port.data() + port.size(), address.port);
  return address;
}

ResponseVector response_vector(const json::object& object) {
  const auto& from = object.at("value").as_object();
  ResponseVector vector;
  vector.bincode = bytes(object, "bincode");
  auto& value = vector.value;
  value.success = from.at("success").as_bool();
  if (!from.at("error").is_null()) value.error = text(from, "error");
  if (const auto* data = from.at("gateway_data").if_object()) {
    value.gateway_data = messages::GatewayData{
        .public_key = {bytes32(*data, "public_key")},
        .endpoint = endpoint(data->at("endpoint").as_string()),
        .private_ipv4 = std::get<messages::IpV4>(ip(*data, "private_ipv4")),
        .private_ipv6 = std::get<messages::IpV6>(ip(*data, "private_ipv6")),
    };
  }
  value.allocated_bandwidth = number<std::int64_t>(from, "allocated_bandwidth");
  value.session_id = number<std::uint32_t>(from, "session_id");
  return vector;
}

replay::Verdict verdict(char letter) {
  switch (letter) {
    case 'A':
      return replay::Verdict::accept;
    case 'D':
      return replay::Verdict::duplicate;
    case 'O':
      return replay::Verdict::too_old;
    default:
      throw std::runtime_error("verdict");
  }
}

ReplayVector replay_vector(const json::object& object) {
  ReplayVector vector;
  vector.kind = text(object, "kind");
  for (const auto& counter : object.at("counters").as_array()) {
    vector.counters.push_back(std::stoull(std::string(counter.as_string())));
  }
  for (const char letter : object.at("verdicts").as_string()) {
    vector.verdicts.push_back(verdict(letter));
  }
  if (vector.counters.size() != vector.verdicts.size()) throw std::runtime_error("verdicts");
  return vector;
}

Vectors load(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(file), {});
  const json::value document = json::parse(content);
  const auto& root = document.as_object();

  Vectors vectors;
  vectors.blake3 = list<Blake3Vector>(root, "blake3", blake3_vector);
  vectors.busy_frame = bytes(root, "busy_frame");
  vectors.handshakes = list<HandshakeVector>(root, "handshakes", handshake_vector);
  vectors.lp_ids = list<LpIdVector>(root, "lp_id", lp_id_vector);
  vectors.odd_packets = list<OddPacketVector>(root, "odd_packets", odd_packet_vector);
  vectors.requests = list<RequestVector>(root, "registration_request", request_vector);
  vectors.responses = list<ResponseVector>(root, "registration_response", response_vector);
  vectors.replay = list<ReplayVector>(root, "replay", replay_vector);
  return vectors;
}

crypto::X25519KeyPair pair(const ByteArray<32>& secret) {
  return crypto::X25519KeyPair::from_secret(Secret<32>(secret));
}

}  // namespace

crypto::X25519KeyPair HandshakeVector::gateway() const {
  return pair(gateway_secret);
}
crypto::X25519KeyPair HandshakeVector::client() const {
  return pair(client_secret);
}
crypto::X25519KeyPair HandshakeVector::initiator_ephemeral_pair() const {
  return pair(initiator_ephemeral);
}
crypto::X25519KeyPair HandshakeVector::responder_ephemeral_pair() const {
  return pair(responder_ephemeral);
}

const Vectors& lp_v1() {
  static const Vectors vectors = [] {
    constexpr const char* path = LP_TEST_VECTORS "/lp-v1.json";
    try {
      return load(path);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", path, error.what());
      std::abort();
    }
  }();
  return vectors;
}

}  // namespace lp::test
