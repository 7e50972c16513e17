// JSON in nym-gateway-probe's shape, so that what reads its results reads these: every key of its
// result is always there, with false, 0, "" or null where this probe measures nothing. Keys of our
// own stand beside `outcome`, never in it.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "lib/base/encoding.h"
#include "probes/options/values.h"
#include "probes/report/report.h"

namespace lp::probe::report {
namespace {

namespace json = boost::json;
using options::to_seconds;

constexpr int schema_version = 1;

std::string utf8_safe(std::string_view text) {
  return printable(text, 1000);
}

json::object exit_result() {
  return {{"can_connect", false},
          {"can_route_ip_v4", false},
          {"can_route_ip_external_v4", false},
          {"can_route_ip_v6", false},
          {"can_route_ip_external_v6", false}};
}

/// One handshake serves both versions of IP: they differ inside the tunnel only.
json::object wireguard_result(bool registered, const Attempt& attempt) {
  json::object wg;
  wg["can_register"] = registered;
  wg["can_query_metadata_v4"] = false;
  const bool handshake_done = attempt.tunnel && attempt.tunnel->handshake_done;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string_view version = i == 0 ? "v4" : "v6";
    const auto key = [&](std::string_view stem) { return fmt::format("{}_{}", stem, version); };
    const auto family = attempt.tunnel ? attempt.tunnel->checks[i] : tunnel::FamilyResult{};
    wg[key("can_handshake")] = handshake_done;
    wg[key("can_resolve_dns")] = family.names_resolved > 0;
    wg[key("ping_hosts_performance")] = family.hosts.performance();
    wg[key("ping_ips_performance")] = family.ips.performance();
    wg[key("download_duration_sec")] = 0;
    wg[key("download_duration_milliseconds")] = 0;
    wg[key("downloaded_file_size_bytes")] = 0;
    wg[key("downloaded_file")] = "";
    wg[key("download_error")] = "";
  }
  return wg;
}

json::object lp_result(const Attempt& attempt) {
  const auto reached = [&](Stage stage) {
    return !attempt.tunnel_only && (!attempt.error || attempt.error->stage > stage);
  };
  json::object lp;
  lp["can_connect"] = reached(Stage::connect);
  lp["can_handshake"] = reached(Stage::handshake);
  lp["can_register"] = attempt.registered();
  lp["error"] = nullptr;
  if (attempt.error && attempt.error->stage != Stage::tunnel) {
    lp["error"] = fmt::format("{}: {}: {}", name(attempt.error->stage), name(attempt.error->code),
                              utf8_safe(attempt.error->detail));
  }
  return lp;
}

json::object outcome(const TargetInfo& info, const Attempt& attempt) {
  const bool dvpn_registered = attempt.registered() && info.mode == "dvpn";
  return {{"as_entry", json::object{{"can_connect", false}, {"can_route", false}}},
          {"as_exit", exit_result()},
          {"socks5", nullptr},
          {"wg", wireguard_result(dvpn_registered, attempt)},
          {"lp", lp_result(attempt)}};
}

json::value gateway_data(const Attempt& attempt) {
  if (!attempt.response || !attempt.response->gateway_data) return nullptr;
  const auto& data = *attempt.response->gateway_data;
  return json::object{{"public_key", to_base64(data.public_key.bytes)},
                      {"endpoint", messages::to_string(data.endpoint)},
                      {"private_ipv4", messages::to_string(data.private_ipv4)},
                      {"private_ipv6", messages::to_string(data.private_ipv6)}};
}

json::object pings(const tunnel::PingCount& count) {
  const auto time = [&](std::chrono::nanoseconds value) {
    return count.received == 0 ? json::value(nullptr) : json::value(to_seconds(value));
  };
  return {{"sent", count.sent},
          {"received", count.received},
          {"min_seconds", time(count.min)},
          {"mean_seconds", time(count.mean)},
          {"max_seconds", time(count.max)}};
}

/// What the tunnel stage measured; null where it was not reached.
json::value tunnel_object(const Attempt& attempt) {
  if (!attempt.tunnel) return nullptr;
  const auto& tunnel = *attempt.tunnel;
  json::object object{{"endpoint", tunnel.endpoint.to_string()},
                      {"handshake_seconds", nullptr},
                      {"initiations", tunnel.handshake.initiations},
                      {"cookie", tunnel.handshake.cookie}};
  if (tunnel.handshake_done) object["handshake_seconds"] = to_seconds(tunnel.handshake.time);
  for (std::size_t i = 0; i < tunnel.checks.size(); ++i) {
    const auto& family = tunnel.checks[i];
    json::object one{{"gateway", pings(family.gateway)},
                     {"ips", pings(family.ips)},
                     {"hosts", pings(family.hosts)},
                     {"names_asked", family.names_asked},
                     {"names_resolved", family.names_resolved},
                     {"dns_seconds", nullptr},
                     {"remark", utf8_safe(family.remark)}};
    if (family.dns_time) one["dns_seconds"] = to_seconds(*family.dns_time);
    object[i == 0 ? "v4" : "v6"] = std::move(one);
  }
  json::array remarks;
  for (const auto& remark : tunnel.remarks)
    remarks.push_back(json::string(utf8_safe(remark)));
  object["remarks"] = std::move(remarks);
  return object;
}

json::object timings(const Attempt& attempt) {
  json::object times;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto time = attempt.times[i];
    times[name(static_cast<Stage>(i))] = time ? json::value(to_seconds(*time)) : nullptr;
  }
  times["total"] = to_seconds(attempt.total);
  return times;
}

json::object summary_object(const Summary& summary) {
  json::object object{{"sent", summary.sent}, {"ok", summary.ok}, {"loss", summary.loss}};
  const std::pair<const char*, std::chrono::nanoseconds> times[] = {
      {"min", summary.min}, {"mean", summary.mean}, {"p50", summary.p50}, {"p90", summary.p90},
      {"p95", summary.p95}, {"p99", summary.p99},   {"max", summary.max}};
  for (const auto& [key, time] : times) {
    object[key] = summary.ok == 0 ? nullptr : json::value(to_seconds(time));
  }
  return object;
}

json::object statistics_object(const TargetReport& report) {
  json::object stages;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    stages[name(stage)] = summary_object(report.statistics.stage(stage));
  }
  stages["total"] = summary_object(report.statistics.total());
  json::object errors;
  for (const auto& [code, times] : report.statistics.errors())
    errors[code] = times;
  return {{"wanted", report.wanted},
          {"sent", report.statistics.attempts()},
          {"seconds", std::move(stages)},
          {"errors", std::move(errors)}};
}

json::string lower(std::string_view text) {
  json::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

json::object result(const TargetReport& report) {
  const auto& info = report.info;
  const auto& attempt = report.last.attempt;
  const auto text_or_null = [](bool there, std::string_view text) {
    return there ? json::value(json::string(text)) : json::value(nullptr);
  };
  const bool failed = attempt.error.has_value();
  json::object object;
  object["node"] = info.identity;
  object["used_entry"] = info.identity;
  object["outcome"] = outcome(info, attempt);
  object["schema_version"] = schema_version;
  object["status"] = lower(name(report.level));
  object["failed_stage"] = text_or_null(failed, failed ? name(attempt.error->stage) : "");
  object["error_code"] = text_or_null(failed, failed ? name(attempt.error->code) : "");
  object["error_detail"] = text_or_null(failed, failed ? utf8_safe(attempt.error->detail) : "");
  object["hint"] = text_or_null(failed && !report.last.hint.empty(), report.last.hint);
  json::array exceeded;
  for (const auto& limit : report.last.verdict.exceeded)
    exceeded.push_back(json::string(limit));
  object["limits_passed"] = std::move(exceeded);
  object["started"] = attempt.started;
  object["target"] = utf8_safe(info.text);
  object["identity_source"] = name(info.identity_source);
  object["address"] = utf8_safe(info.address);
  json::array addresses;
  for (const auto& address : attempt.addresses) {
    addresses.push_back(json::string(address.to_string()));
  }
  object["addresses"] = std::move(addresses);
  object["remote_address"] = text_or_null(attempt.remote.valid(), attempt.remote.to_string());
  object["local_address"] = text_or_null(attempt.local.valid(), attempt.local.to_string());
  object["mode"] = info.mode;
  object["ticket_type"] = info.ticket_type;
  object["mock_ecash"] = info.mock_ecash;
  object["gateway_version"] =
      text_or_null(info.gateway_version.has_value(), utf8_safe(info.gateway_version.value_or("")));
  object["lp_id"] = attempt.lp_id ? json::value(*attempt.lp_id) : nullptr;
  const bool answered = attempt.response.has_value();
  object["session_id"] = answered ? json::value(attempt.response->session_id) : nullptr;
  object["allocated_bandwidth"] =
      answered ? json::value(attempt.response->allocated_bandwidth) : nullptr;
  object["gateway_data"] = gateway_data(attempt);
  object["clock_offset_seconds"] =
      report.last.clock_offset_seconds ? json::value(*report.last.clock_offset_seconds) : nullptr;
  object["tunnel"] = tunnel_object(attempt);
  object["timings_seconds"] = timings(attempt);
  object["stats"] = statistics_object(report);
  return object;
}

/// Serialised with numbers as people write them: Boost.JSON's serialiser has 0E0 for 0.
void append(std::string& out, const json::value& value) {
  if (const auto* object = value.if_object()) {
    char separator = '{';
    for (const auto& [key, member] : *object) {
      out += separator;
      out += json::serialize(json::value(key));
      out += ':';
      append(out, member);
      separator = ',';
    }
    out += object->empty() ? "{}" : "}";
  } else if (const auto* array = value.if_array()) {
    char separator = '[';
    for (const auto& element : *array) {
      out += separator;
      append(out, element);
      separator = ',';
    }
    out += array->empty() ? "[]" : "]";
  } else if (const auto* number = value.if_double()) {
    // Times and shares, finite always; fmt writes the shortest text that reads back the same.
    fmt::format_to(std::back_inserter(out), "{}", *number);
  } else {
    out += json::serialize(value);
  }
}

std::string text_of(const TargetReport& report) {
  std::string text;
  append(text, result(report));
  return text;
}

class JsonWriter final : public Writer {
 public:
  JsonWriter(std::FILE* out, bool several) : out_(out), several_(several) {}

  void attempt(const TargetInfo&, std::uint64_t, const AttemptReport&) override {}

  void target(const TargetReport& report) override {
    if (several_) put(first_ ? "[\n" : ",\n");
    first_ = false;
    put(text_of(report));
    if (!several_) put("\n");
    std::fflush(out_);
  }

  void finish() override {
    if (several_) put(first_ ? "[]\n" : "\n]\n");
    std::fflush(out_);
  }

 private:
  void put(std::string_view text) { std::fwrite(text.data(), 1, text.size(), out_); }

  std::FILE* out_;
  bool several_;
  bool first_ = true;
};

class NdjsonWriter final : public Writer {
 public:
  explicit NdjsonWriter(std::FILE* out) : out_(out) {}

  void attempt(const TargetInfo&, std::uint64_t, const AttemptReport&) override {}
  void target(const TargetReport& report) override {
    const std::string line = text_of(report) + "\n";
    std::fwrite(line.data(), 1, line.size(), out_);
    std::fflush(out_);
  }
  void finish() override {}

 private:
  std::FILE* out_;
};

}  // namespace

std::unique_ptr<Writer> make_json_writer(std::FILE* out, bool several) {
  return std::make_unique<JsonWriter>(out, several);
}

std::unique_ptr<Writer> make_ndjson_writer(std::FILE* out) {
  return std::make_unique<NdjsonWriter>(out);
}

}  // namespace lp::probe::report
