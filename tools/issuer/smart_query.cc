#include "tools/issuer/smart_query.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/system/error_code.hpp>
#include <optional>

#include "lib/base/encoding.h"
#include "tools/issuer/sign_request.h"

namespace lp::issuer {
namespace {

namespace json = boost::json;

// The codes of gRPC, which a Cosmos node's REST endpoint passes on.
constexpr int invalid_argument = 3;
constexpr int not_found = 5;
constexpr int unavailable = 14;

/// "%41" as "A"; nothing where a percent sign has no two digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) return std::nullopt;
    decoded += static_cast<char>(byte->front());
    i += 2;
  }
  return decoded;
}

/// Base64 as REST clients write it into a path: either alphabet, padded or not.
std::optional<std::string> decode_query(std::string_view segment) {
  auto text = percent_decoded(segment);
  if (!text) return std::nullopt;
  std::ranges::replace(*text, '-', '+');
  std::ranges::replace(*text, '_', '/');
  while (text->size() % 4 != 0)
    *text += '=';
  const auto bytes = from_base64(*text);
  if (!bytes) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

bool asks_for_keys(const json::value& query) {
  const json::object* object = query.if_object();
  if (object == nullptr || object->size() != 1) return false;
  const json::value* keys = object->if_contains("verification_keys");
  return keys != nullptr && keys->is_object() && keys->get_object().empty();
}

}  // namespace

http::Answer chain_error(unsigned status, std::string_view message) {
  const int code = status == 404 ? not_found : status == 400 ? invalid_argument : unavailable;
  const json::object error{{"code", code},
                           {"message", json::string_view(message.data(), message.size())},
                           {"details", json::array()}};
  http::Answer answer{
      .status = status, .content_type = http::json_type, .body = json::serialize(error) + "\n"};
  if (status == 503) answer.retry_after = retry_after;
  return answer;
}

std::expected<void, http::Answer> check_smart_query(std::string_view path,
                                                    std::string_view contract) {
  constexpr std::string_view smart = "/smart/";
  const std::string_view rest = path.substr(contract_prefix.size());
  const std::size_t slash = rest.find('/');
  if (rest.substr(0, slash) != contract) {
    return std::unexpected(chain_error(404, "there is no such contract"));
  }
  if (slash == std::string_view::npos || !rest.substr(slash).starts_with(smart)) {
    return std::unexpected(chain_error(404, "only smart queries are answered"));
  }
  const auto text = decode_query(rest.substr(slash + smart.size()));
  if (!text) return std::unexpected(chain_error(400, "the query is no base64"));
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  const json::value query = json::parse(*text, error, {}, options);
  if (error) return std::unexpected(chain_error(400, "the query is no JSON"));
  if (!asks_for_keys(query)) {
    return std::unexpected(
        chain_error(400, "the contract knows one query, {\"verification_keys\":{}}"));
  }
  return {};
}

}  // namespace lp::issuer
