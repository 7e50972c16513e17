#include "probes/http/gateway_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <vector>

#include "lib/base/encoding.h"
#include "lib/wire/format.h"

namespace lp::probe::http {
namespace {

namespace json = boost::json;

constexpr std::string_view lp_path = "/api/v1/lp";
constexpr std::string_view host_information_path = "/api/v1/host-information";

auto invalid(std::string_view where, std::string_view what) {
  return fail(Stage::resolve, ProbeCode::http_invalid, fmt::format("{}: {}", where, what));
}

std::optional<json::object> parse_object(std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::optional<std::string_view> text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->as_string().data(), value->as_string().size());
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr ? nullptr : value->if_object();
}

std::optional<std::uint16_t> port_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  const auto number = value->as_int64();
  if (number < 1 || number > 65'535) return std::nullopt;
  return static_cast<std::uint16_t>(number);
}

/// The older forms of `data` that nodes have signed, oldest last: the same addresses and host name,
/// and fewer keys. `noise` is base58, or empty where there is none.
std::vector<std::string> legacy_forms(const json::object& data, std::string_view identity,
                                      std::string_view sphinx, std::string_view noise) {
  const auto form = [&](json::object keys) {
    json::object object;
    for (const char* key : {"ip_address", "hostname"}) {
      const auto* value = data.if_contains(key);
      object[key] = value == nullptr ? json::value(nullptr) : *value;
    }
    object["keys"] = std::move(keys);
    return json::serialize(object);
  };
  const json::string id(identity);
  const json::string sphinx_key(sphinx);
  json::value noise_or_null = nullptr;
  if (!noise.empty()) noise_or_null = json::string(noise);
  return {form({{"ed25519_identity", id},
                {"x25519_sphinx", sphinx_key},
                {"x25519_noise", noise_or_null}}),
          form({{"ed25519_identity", id},
                {"x25519_sphinx", sphinx_key},
                {"x25519_noise", json::string(noise)}}),
          form({{"ed25519", id}, {"x25519", sphinx_key}})};
}

bool signed_by(const crypto::Identity& identity, std::string_view text,
               const ByteArray<64>& signature) {
  return crypto::verify(identity,
                        ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
                        signature);
}

std::string_view sphinx_key(const json::object& keys) {
  if (const auto* primary = object_at(keys, "primary_x25519_sphinx_key")) {
    if (const auto key = text_at(*primary, "public_key")) return *key;
  }
  const auto key = text_at(keys, "x25519_sphinx");
  return key ? *key : text_at(keys, "x25519").value_or("");
}

std::string_view noise_key(const json::object& keys) {
  if (const auto* versioned = object_at(keys, "x25519_versioned_noise")) {
    if (const auto key = text_at(*versioned, "x25519_pubkey")) return *key;
  }
  return text_at(keys, "x25519_noise").value_or("");
}

/// How much an error tells: an answer that is wrong more than silence.
int weight(ProbeCode code) {
  switch (code) {
    case ProbeCode::interrupted:
      return 4;
    case ProbeCode::host_information_signature:
      return 3;
    case ProbeCode::http_invalid:
      return 2;
    case ProbeCode::http_timeout:
      return 1;
    default:
      return 0;
  }
}

struct Step {
  std::string_view path;
  std::uint16_t port;
};

std::vector<Step> steps(const std::optional<std::uint16_t>& port) {
  if (port) return {{lp_path, *port}, {host_information_path, *port}};
  return {{lp_path, default_http_port},
          {host_information_path, default_http_port},
          {host_information_path, 443},
          {host_information_path, 80}};
}

Outcome<GatewayInfo> ask_one(const client::Endpoint& endpoint, const std::string& host,
                             const Step& step, MonotonicTime deadline, int cancel_fd) {
  client::Endpoint to = endpoint;
  to.set_port(step.port);
  const auto answer =
      http_get({to, host, std::string(step.path), step.port == 443}, deadline, cancel_fd);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) {
    return invalid(step.path, fmt::format("port {} answered {}", step.port, answer->status));
  }
  auto info =
      step.path == lp_path ? parse_lp_info(answer->body) : parse_host_information(answer->body);
  if (info) info->date = answer->date;
  return info;
}

}  // namespace

Outcome<GatewayInfo> parse_lp_info(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return invalid(lp_path, "the answer is no JSON object");
  const auto identity = text_at(*object, "identity");
  if (!identity) return invalid(lp_path, "there is no identity");
  const auto key = crypto::Identity::from_base58(*identity);
  if (!key) {
    return invalid(lp_path,
                   fmt::format("identity '{}': {}", printable(*identity, 60), gloss(key.error())));
  }
  GatewayInfo info;
  info.identity = *key;
  const auto port = port_at(*object, "lp_port");
  if (!port) return invalid(lp_path, "lp_port is no port");
  info.lp_port = *port;
  // The LP key follows from the identity; a gateway that names another one is not what it says.
  if (const auto lp_key = text_at(*object, "lp_public_key")) {
    const auto named = from_base58<32>(*lp_key);
    const auto derived = key->to_x25519();
    if (!named || !derived || *named != derived->bytes) {
      return invalid(lp_path, "lp_public_key does not belong to identity");
    }
  }
  if (const auto version = text_at(*object, "version")) info.version = *version;
  if (const auto* mock = object->if_contains("mock_ecash"); mock != nullptr && mock->is_bool()) {
    info.mock_ecash = mock->as_bool();
  }
  return info;
}

Outcome<GatewayInfo> parse_host_information(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return invalid(host_information_path, "the answer is no JSON object");
  const auto* data = object_at(*object, "data");
  const auto* keys = data == nullptr ? nullptr : object_at(*data, "keys");
  const auto signature_text = text_at(*object, "signature");
  if (keys == nullptr || !signature_text) {
    return invalid(host_information_path, "there are no keys or no signature");
  }
  auto identity_text = text_at(*keys, "ed25519_identity");
  if (!identity_text) identity_text = text_at(*keys, "ed25519");
  if (!identity_text) return invalid(host_information_path, "there is no identity");
  const auto identity = crypto::Identity::from_base58(*identity_text);
  if (!identity) return invalid(host_information_path, gloss(identity.error()));
  const auto signature = from_base58<64>(*signature_text);
  if (!signature) return invalid(host_information_path, "the signature is not 64 bytes of base58");
  std::vector<std::string> forms{json::serialize(*data)};
  std::ranges::move(legacy_forms(*data, *identity_text, sphinx_key(*keys), noise_key(*keys)),
                    std::back_inserter(forms));
  const bool verified = std::ranges::any_of(
      forms, [&](const std::string& form) { return signed_by(*identity, form, *signature); });
  if (!verified) {
    return fail(Stage::resolve, ProbeCode::host_information_signature,
                fmt::format("{}: not signed by {}", host_information_path, identity->to_base58()));
  }
  GatewayInfo info;
  info.identity = *identity;
  info.lp_port = wire::default_port;
  return info;
}

Outcome<GatewayInfo> ask_gateway(const Where& where, MonotonicTime resolve_deadline,
                                 MonotonicTime http_deadline, int cancel_fd) {
  const auto addresses =
      resolve(where.host, default_http_port, where.family, resolve_deadline, cancel_fd);
  if (!addresses) return std::unexpected(addresses.error());
  std::optional<ProbeError> worst;
  const auto all = steps(where.port);
  const std::size_t questions = all.size() * addresses->size();
  std::size_t asked = 0;
  for (const auto& address : *addresses) {
    for (const auto& step : all) {
      // Each question has its share of the time that is left.
      const auto now = std::chrono::steady_clock::now();
      const auto left = static_cast<MonotonicTime::rep>(questions - asked++);
      auto info = ask_one(address, where.host, step, now + (http_deadline - now) / left, cancel_fd);
      if (info) return info;
      const bool tells_more = !worst || weight(info.error().code) > weight(worst->code);
      if (tells_more) worst = std::move(info.error());
      if (worst->code == ProbeCode::interrupted) return std::unexpected(std::move(*worst));
    }
  }
  return std::unexpected(std::move(*worst));
}

Observation observe_gateway(client::Endpoint gateway, const std::string& host,
                            std::uint16_t http_port, MonotonicTime deadline, int cancel_fd) {
  Observation observation;
  gateway.set_port(http_port);
  const auto answer =
      http_get({gateway, host, std::string(lp_path), http_port == 443}, deadline, cancel_fd);
  if (!answer) return observation;
  if (answer->date) {
    observation.clock_offset_seconds = static_cast<std::int64_t>(*answer->date) -
                                       static_cast<std::int64_t>(SystemWallClock().now());
  }
  if (const auto info = parse_lp_info(answer->body)) observation.identity = info->identity;
  return observation;
}

}  // namespace lp::probe::http
