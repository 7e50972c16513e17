#include "gateway/app/status.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "gateway/config/values.h"

namespace lp::gateway::app {
namespace {

namespace json = boost::json;

json::value seconds(std::chrono::milliseconds value) {
  if (value.count() % 1000 == 0) return value.count() / 1000;
  return static_cast<double>(value.count()) / 1000.0;
}

json::value as_json(const ReloadableSettings& limits) {
  return {{"max_connections", limits.max_connections},
          {"max_connections_per_address", limits.max_connections_per_address},
          {"timestamp_tolerance_secs", limits.timestamp_tolerance_secs},
          {"hello_deadline_secs", seconds(limits.deadlines.hello)},
          {"handshake_deadline_secs", seconds(limits.deadlines.handshake)},
          {"request_deadline_secs", seconds(limits.deadlines.request)},
          {"processing_deadline_secs", seconds(limits.deadlines.processing)},
          {"write_deadline_secs", seconds(limits.deadlines.write)},
          {"metrics_allow", json::value_from(limits.metrics_allow)},
          {"log_level", limits.log_level}};
}

json::object as_json(const storage::StorageStats& stats) {
  return {{"healthy", stats.healthy},
          {"unhealthy_reason", stats.unhealthy_reason},
          {"transactions", stats.transactions},
          {"failed_transactions", stats.failed_transactions},
          {"statements", stats.statements},
          {"registrations", stats.registrations},
          {"registration_statements", stats.registration_statements},
          {"queue_length", stats.queue_length}};
}

json::value as_json(const Status& status) {
  json::object database{{"database", status.database}, {"instance", status.instance}};
  for (auto& member : as_json(status.storage))
    database.insert(member);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(status.uptime).count();
  return {{"ok", true},
          {"version", status.version},
          {"uptime_secs", uptime},
          {"identity", status.identity},
          {"lp_public_key", status.lp_public_key},
          {"wireguard_public_key", status.wireguard_public_key},
          {"data_dir", status.data_dir},
          {"lp_address", status.lp_address},
          {"http_address", status.http_address},
          {"mock_ecash", status.mock_ecash},
          {"ready", status.not_ready.empty()},
          {"not_ready", json::value_from(status.not_ready)},
          {"warnings", json::value_from(status.warnings)},
          {"active_connections", status.active_connections},
          {"registrations_in_flight", status.registrations_in_flight},
          {"storage", std::move(database)},
          {"wireguard",
           {{"healthy", status.wireguard_healthy},
            {"peers", status.wireguard_peers},
            {"unknown_peers", status.comparison.unknown},
            {"pending_removals", status.comparison.pending_removals}}},
          {"limits", as_json(status.limits)}};
}

std::string text_of(const json::value& value) {
  if (const auto* text = value.if_string()) return text->empty() ? "-" : std::string(*text);
  if (const auto* number = value.if_double()) return fmt::format("{}", *number);
  return json::serialize(value);
}

// One line to a member, "name: value"; nested objects are indented below their name.
void write_lines(const json::object& object, const std::string& indent, std::string& to) {
  for (const auto& [key, value] : object) {
    if (indent.empty() && key == "ok") continue;
    if (const auto* nested = value.if_object()) {
      to += fmt::format("{}{}:\n", indent, std::string_view(key));
      write_lines(*nested, indent + "  ", to);
    } else {
      to += fmt::format("{}{}: {}\n", indent, std::string_view(key), text_of(value));
    }
  }
}

json::object parsed(std::string_view answer) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(answer.data(), answer.size()), error);
  return !error && value.is_object() ? value.get_object() : json::object();
}

}  // namespace

std::string answer_request(const std::vector<std::string>& words, const Status& status) {
  if (words.size() == 1 && words.front() == "status") return json::serialize(as_json(status));
  return refusal_json(words.empty() ? "an empty request" : "this gateway knows no such request");
}

std::string refusal_json(std::string_view sentence) {
  return json::serialize(
      json::value{{"ok", false}, {"error", json::string_view(sentence.data(), sentence.size())}});
}

std::string status_text(std::string_view answer) {
  std::string text;
  write_lines(parsed(answer), "", text);
  return text;
}

std::string answer_error(std::string_view answer) {
  const json::object object = parsed(answer);
  const auto* ok = object.if_contains("ok");
  if (ok != nullptr && ok->is_bool() && ok->get_bool()) return {};
  const auto* error = object.if_contains("error");
  return error != nullptr && error->is_string() ? std::string(error->get_string())
                                                : "the gateway's answer is none";
}

}  // namespace lp::gateway::app
