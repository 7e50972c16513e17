#include "lib/net/verification_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/net/verification_keys_json.h"

namespace lp::net {
namespace {

namespace json = boost::json;

constexpr std::string_view smart_query = R"({"verification_keys":{}})";
constexpr std::size_t max_depth = 8;
constexpr auto max_expiry = static_cast<UnixSeconds>(std::numeric_limits<std::int64_t>::max());

const json::value* member(const json::object& object, std::string_view name) {
  return object.if_contains(json::string_view(name.data(), name.size()));
}

std::optional<std::uint64_t> number(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (const auto* number = value->if_uint64()) return *number;
  if (const auto* number = value->if_int64(); number != nullptr && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

std::optional<std::string_view> text(const json::value* value) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->get_string().data(), value->get_string().size());
}

std::expected<ChainKey, std::string> key_from_json(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return std::unexpected(std::string("is no object"));
  const auto epoch_id = number(member(*object, "epoch_id"));
  if (!epoch_id) return std::unexpected(std::string("has no epoch_id that is one"));
  const auto type_name = text(member(*object, "ticket_type"));
  const auto type = type_name ? messages::ticket_type_from_name(*type_name) : std::nullopt;
  if (!type) return std::unexpected(std::string("has no ticket_type that is one"));
  const auto expiry = number(member(*object, "expiry"));
  if (!expiry || *expiry == 0 || *expiry > max_expiry) {
    return std::unexpected(std::string("has no expiry that is one"));
  }
  const auto encoded = text(member(*object, "public_key"));
  const auto bytes = encoded ? from_base64(*encoded) : fail(Error::base64_invalid);
  if (!bytes) return std::unexpected(std::string("has no public_key in base64"));
  const auto point = ecash::PublicKey::decode(*bytes);
  if (!point) {
    return std::unexpected(fmt::format("has a public_key that is none: {}", gloss(point.error())));
  }
  return ChainKey{.epoch_id = *epoch_id, .type = *type, .expiry = *expiry, .public_key = *point};
}

ChainError::Kind kind_of(FetchError::Kind kind) {
  using From = FetchError::Kind;
  using To = ChainError::Kind;
  switch (kind) {
    case From::timeout:
      return To::timeout;
    case From::tls:
      return To::tls;
    case From::too_large:
      return To::too_large;
    case From::malformed:
      return To::malformed;
    case From::cancelled:
      return To::cancelled;
    case From::resolve:
    case From::refused:
    case From::closed:
      break;
  }
  return To::unreachable;
}

/// Base64 has three characters that mean something else in a path, or nothing.
std::string path_segment(std::string_view base64) {
  std::string escaped;
  for (const char c : base64) {
    switch (c) {
      case '+':
        escaped += "%2B";
        break;
      case '/':
        escaped += "%2F";
        break;
      case '=':
        escaped += "%3D";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::expected<json::value, std::string> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = max_depth;
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return std::unexpected(fmt::format("is no JSON: {}", error.message()));
  return value;
}

std::expected<std::vector<ChainKey>, std::string> keys_from_json(const json::array& array) {
  if (array.size() > max_verification_keys) {
    return std::unexpected(fmt::format("has {} keys; {} are the most that are taken", array.size(),
                                       max_verification_keys));
  }
  std::vector<ChainKey> keys;
  keys.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    auto key = key_from_json(array[i]);
    if (!key) return std::unexpected(fmt::format("key {} {}", i, key.error()));
    keys.push_back(*key);
  }
  return keys;
}

json::array to_json(const std::vector<ChainKey>& keys) {
  json::array array;
  for (const auto& key : keys) {
    const std::string_view type = name(key.type);
    array.push_back({{"epoch_id", key.epoch_id},
                     {"ticket_type", json::string_view(type.data(), type.size())},
                     {"expiry", key.expiry},
                     {"public_key", to_base64(key.public_key.encode())}});
  }
  return array;
}

std::string find_clash(const std::vector<ChainKey>& keys) {
  std::set<std::pair<messages::TicketType, UnixSeconds>> seen;
  std::set<crypto::G2Encoding> encodings;
  for (const auto& key : keys) {
    if (!seen.emplace(key.type, key.expiry).second) {
      return fmt::format("has two keys for {} with expiry {}", name(key.type), key.expiry);
    }
    if (!encodings.insert(key.public_key.encode()).second) {
      return fmt::format("has the public key of {} with expiry {} a second time", name(key.type),
                         key.expiry);
    }
  }
  return {};
}

std::expected<std::vector<ChainKey>, std::string> parse_verification_keys(std::string_view body) {
  const auto document = parse_json(body);
  if (!document) return std::unexpected(document.error());
  const auto* answer = document->if_object();
  const auto* data = answer == nullptr ? nullptr : member(*answer, "data");
  const auto* contents = data == nullptr ? nullptr : data->if_object();
  const auto* list = contents == nullptr ? nullptr : member(*contents, "keys");
  const auto* array = list == nullptr ? nullptr : list->if_array();
  if (array == nullptr) return std::unexpected(std::string("has no list data.keys"));
  auto keys = keys_from_json(*array);
  if (!keys) return keys;
  if (auto clash = find_clash(*keys); !clash.empty()) return std::unexpected(std::move(clash));
  return keys;
}

Url verification_keys_url(const Url& base, std::string_view contract) {
  Url url = base;
  while (url.path.ends_with('/'))
    url.path.pop_back();
  const ByteView query(reinterpret_cast<const std::uint8_t*>(smart_query.data()),
                       smart_query.size());
  url.path += fmt::format("/cosmwasm/wasm/v1/contract/{}/smart/{}", contract,
                          path_segment(to_base64(query)));
  return url;
}

std::expected<std::vector<ChainKey>, ChainError> fetch_verification_keys(
    const Url& base, std::string_view contract, const FetchOptions& options) {
  const auto fail_with = [&base](ChainError::Kind kind, std::string_view what) {
    return std::unexpected(ChainError{kind, fmt::format("{}: {}", base.to_string(), what)});
  };
  const auto response = get(verification_keys_url(base, contract), options);
  if (!response) {
    return std::unexpected(ChainError{kind_of(response.error().kind), response.error().detail});
  }
  if (response->status != 200) {
    return fail_with(
        ChainError::Kind::http_status,
        fmt::format("the chain answered {}{}", response->status,
                    response->status / 100 == 3 ? "; redirects are not followed" : ""));
  }
  auto keys = parse_verification_keys(response->body);
  if (!keys) {
    return fail_with(ChainError::Kind::malformed,
                     fmt::format("the chain's answer {}", keys.error()));
  }
  return std::move(*keys);
}

}  // namespace lp::net
