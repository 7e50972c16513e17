#include "tests/lib/ecash/vectors.h"

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

Secret<32> secret(const json::object& object, std::string_view key) {
  return Secret<32>(bytes32(object, key));
}

std::uint64_t decimal(const json::object& object, std::string_view key) {
  const std::string digits = text(object, key);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    throw std::runtime_error(std::string(key) + " is no u64");
  }
  return value;
}

/// "0x…" with as many digits as it takes, as 48 bytes.
Bytes coordinate(const json::object& object, std::string_view key) {
  std::string digits = text(object, key).substr(2);
  digits.insert(0, 96 - digits.size(), '0');
  return from_hex(digits).value();
}

template <typename T>
std::vector<T> list(const json::object& object, std::string_view key,
                    T (*convert)(const json::object&)) {
  std::vector<T> items;
  for (const auto& item : object.at(key).as_array())
    items.push_back(convert(item.as_object()));
  if (items.empty()) throw std::runtime_error(std::string(key) + " is empty");
  return items;
}

ecash::TicketMessage ticket_message(const json::object& object) {
  const auto& message = object.at("message").as_object();
  return {.gateway = {bytes32(message, "gateway")},
          .nullifier = bytes32(message, "nullifier"),
          .bandwidth_amount = decimal(message, "bandwidth_amount"),
          .expiry = decimal(message, "expiry"),
          .type = static_cast<messages::TicketType>(
              message.at("ticket_type").to_number<std::uint8_t>())};
}

HashVector hash_vector(const json::object& object) {
  return {ticket_message(object), bytes(object, "encoded"), bytes(object, "point")};
}

TicketVector ticket_vector(const json::object& object) {
  return TicketVector{hash_vector(object),         secret(object, "secret"),
                      bytes(object, "public_key"), secret(object, "blinding_factor"),
                      bytes(object, "blinded"),    bytes(object, "signed_blinded"),
                      bytes(object, "signature")};
}

KeyVector key_vector(const json::object& object) {
  return {secret(object, "secret"), bytes(object, "public_key")};
}

ShiftedTicket shifted_ticket(const json::object& object) {
  return {ticket_message(object), bytes(object, "signature")};
}

RefusedPoint refused_point(const json::object& object) {
  return {text(object, "name"), bytes(object, "encoding"), text(object, "error")};
}

HashToCurveVector hash_to_curve_vector(const json::object& object) {
  const auto& point = object.at("P").as_object();
  return {text(object, "msg"), coordinate(point, "x"), coordinate(point, "y")};
}

EcashVectors ecash(const json::object& document) {
  const auto& refused = document.at("refused").as_object();
  const auto& shifted = document.at("shifted").as_object();
  return {.tickets = list(document, "tickets", ticket_vector),
          .hashes = list(document, "hashes", hash_vector),
          .keys = list(document, "keys", key_vector),
          .shifted_public_key = bytes(shifted, "public_key"),
          .shifted_tickets = list(shifted, "tickets", shifted_ticket),
          .refused_g1 = list(refused, "g1", refused_point),
          .refused_g2 = list(refused, "g2", refused_point)};
}

HashToCurveVectors hash_to_curve(const json::object& document) {
  return {text(document, "dst"), list(document, "vectors", hash_to_curve_vector)};
}

template <typename T>
T load(const char* file, T (*convert)(const json::object&)) {
  const std::string path = std::string(LP_TEST_VECTORS) + "/" + file;
  try {
    std::ifstream in(path, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    return convert(json::parse(content).as_object());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), error.what());
    std::abort();
  }
}

}  // namespace

const EcashVectors& ecash_vectors() {
  static const EcashVectors vectors = load("ecash-noble.json", ecash);
  return vectors;
}

const HashToCurveVectors& rfc_9380_g1_vectors() {
  static const HashToCurveVectors vectors =
      load("BLS12381G1_XMD_SHA-256_SSWU_RO_.json", hash_to_curve);
  return vectors;
}

}  // namespace lp::test
