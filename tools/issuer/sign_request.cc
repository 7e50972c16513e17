#include "tools/issuer/sign_request.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/base/error.h"
#include "lib/log/log.h"

namespace lp::issuer {
namespace {

namespace json = boost::json;

std::unexpected<Refused> malformed(std::string message) {
  return std::unexpected(
      Refused{.status = 400, .code = "malformed", .message = std::move(message)});
}

std::string_view view(const json::string& text) noexcept {
  return {text.data(), text.size()};
}

std::expected<json::object, Refused> parse_object(std::string_view body) {
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(body.data(), body.size()), error, {}, options);
  if (error) return malformed(fmt::format("the body is no JSON: {}", error.message()));
  if (!value.is_object()) return malformed("the body is no JSON object");
  return std::move(value.get_object());
}

std::expected<std::int64_t, Refused> parse_epoch(const json::object& object) {
  const json::value* value = object.if_contains("epoch_id");
  if (value == nullptr) return malformed("epoch_id is missing");
  const std::int64_t* id = value->if_int64();
  if (id == nullptr || *id < 0) return malformed("epoch_id is no whole number");
  return *id;
}

std::expected<messages::TicketType, Refused> parse_type(const json::object& object) {
  const json::value* value = object.if_contains("ticket_type");
  if (value == nullptr) return malformed("ticket_type is missing");
  const json::string* name = value->if_string();
  const auto type = name == nullptr ? std::nullopt : messages::ticket_type_from_name(view(*name));
  if (!type) {
    return malformed(
        "ticket_type is none of V1MixnetEntry, V1MixnetExit, V1WireguardEntry, V1WireguardExit");
  }
  return *type;
}

std::unexpected<Refused> bad_point(std::size_t index, Error error) {
  return std::unexpected(Refused{.status = 400,
                                 .code = name(error),
                                 .message = fmt::format("blinded[{}]: {}", index, gloss(error)),
                                 .index = index});
}

std::expected<void, Refused> parse_points(const json::array& array, SignRequest& request) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    const json::string* text = array[i].if_string();
    if (text == nullptr) return bad_point(i, Error::base64_invalid);
    const auto bytes = from_base64(view(*text));
    if (!bytes) return bad_point(i, bytes.error());
    const auto point = crypto::G1Point::decode(*bytes);
    if (!point) return bad_point(i, point.error());
    request.points.push_back(*point);
    request.encodings.push_back(to_array<48>(*bytes));
  }
  return {};
}

http::Answer json_answer(unsigned status, const json::object& object) {
  return {
      .status = status, .content_type = http::json_type, .body = json::serialize(object) + "\n"};
}

}  // namespace

Refused database_failed(const sqlite::Error& error) {
  log::write_limited(log::Level::error, "database", "the database fails",
                     {{"error", error.detail}});
  return {.status = 503,
          .code = "unavailable",
          .message = "the issuer cannot use its database; try again"};
}

std::expected<SignRequest, Refused> parse_sign_request(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return std::unexpected(object.error());
  const auto epoch = parse_epoch(*object);
  if (!epoch) return std::unexpected(epoch.error());
  const auto type = parse_type(*object);
  if (!type) return std::unexpected(type.error());
  const json::value* blinded = object->if_contains("blinded");
  const json::array* array = blinded == nullptr ? nullptr : blinded->if_array();
  if (array == nullptr) return malformed("blinded is no list");
  if (array->empty()) return malformed("blinded is empty");
  if (array->size() > max_points) {
    return malformed(fmt::format("blinded has {} points; {} are the most in one request",
                                 array->size(), max_points));
  }
  SignRequest request{.epoch_id = *epoch, .type = *type, .points = {}, .encodings = {}};
  if (auto parsed = parse_points(*array, request); !parsed) return std::unexpected(parsed.error());
  return request;
}

http::Answer signatures_answer(const std::vector<crypto::G1Encoding>& signatures) {
  json::array array;
  array.reserve(signatures.size());
  for (const auto& signature : signatures)
    array.emplace_back(to_base64(signature));
  return json_answer(200, {{"signatures", std::move(array)}});
}

http::Answer refused_answer(const Refused& refused) {
  json::object object{
      {"error", json::string_view(refused.code.data(), refused.code.size())},
      {"message", refused.message},
  };
  if (refused.index) object["index"] = *refused.index;
  http::Answer answer = json_answer(refused.status, object);
  if (refused.status == 401) answer.authenticate = "Bearer";
  if (refused.status == 503) answer.retry_after = retry_after;
  return answer;
}

}  // namespace lp::issuer
