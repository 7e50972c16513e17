#include <boost/json.hpp>

#include "probes/load/report.h"
#include "probes/options/values.h"

namespace lp::probe::load {
namespace {

namespace json = boost::json;
using options::to_seconds;

constexpr int schema_version = 1;
constexpr std::size_t most_bars = 200;

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

json::object times(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"min", to_seconds(histogram.min())},
          {"mean", to_seconds(histogram.mean())},
          {"p50", to_seconds(histogram.quantile(50'000))},
          {"p90", to_seconds(histogram.quantile(90'000))},
          {"p95", to_seconds(histogram.quantile(95'000))},
          {"p99", to_seconds(histogram.quantile(99'000))},
          {"p99_9", to_seconds(histogram.quantile(99'900))},
          {"max", to_seconds(histogram.max())}};
}

json::array bars(const Histogram& histogram) {
  json::array array;
  for (const auto& bar : histogram.bars(most_bars)) {
    array.push_back(json::object{{"from_seconds", to_seconds(bar.low)},
                                 {"to_seconds", to_seconds(bar.high)},
                                 {"count", bar.count}});
  }
  return array;
}

json::object describe(const Report& report) {
  const auto& description = report.description;
  return {{"target", description.target},           {"identity", description.identity},
          {"address", description.address},         {"mode", description.mode},
          {"ticket_type", description.ticket_type}, {"mock_ecash", description.mock_ecash}};
}

json::object describe(const LoadPlan& plan) {
  return {{"loop", plan.rate ? "open" : "closed"},
          {"rate", plan.rate ? json::value(*plan.rate) : json::value(nullptr)},
          {"concurrency", plan.concurrency},
          {"threads", plan.threads},
          {"warmup_seconds", to_seconds(plan.warmup)},
          {"duration_seconds",
           plan.duration ? json::value(to_seconds(*plan.duration)) : json::value(nullptr)},
          {"count", plan.attempts ? json::value(*plan.attempts) : json::value(nullptr)}};
}

json::array errors(const Tally& tally) {
  json::array array;
  for (const auto& [code, error] : tally.errors) {
    array.push_back(json::object{{"code", view(name(code))},
                                 {"stage", view(name(error.first.stage))},
                                 {"count", error.count},
                                 {"first_detail", error.first.detail},
                                 {"hint", view(entry(code).hint)}});
  }
  return array;
}

}  // namespace

std::string to_json(const Report& report) {
  const auto& result = report.result;
  const auto& tally = result.tally;
  json::object parts;
  for (std::size_t i = 0; i < part_count; ++i)
    parts[view(name(static_cast<Part>(i)))] = times(tally.parts[i]);
  json::array unmet;
  for (const auto& text : report.unmet)
    unmet.emplace_back(text);
  const json::object object{
      {"schema_version", schema_version},
      {"gateway", describe(report)},
      {"load", describe(report.plan)},
      {"window_seconds", to_seconds(result.window)},
      {"registrations_per_second", result.rate()},
      {"attempts", tally.attempts},
      {"ok", tally.ok},
      {"failed", tally.attempts - tally.ok},
      {"warmup_attempts", tally.warmup},
      {"abandoned", tally.abandoned},
      {"never_begun", json::object{{"count", result.backlog.count},
                                   {"oldest_seconds", to_seconds(result.backlog.oldest)}}},
      {"interrupted", result.interrupted},
      {"error_code",
       result.broken ? json::value(view(name(result.broken->code))) : json::value(nullptr)},
      {"errors", errors(tally)},
      {"latency_seconds", times(tally.latency)},
      {"stage_seconds", std::move(parts)},
      {"begun_late_seconds", times(tally.lateness)},
      {"failure_seconds", times(tally.failure_latency)},
      {"histogram", bars(tally.latency)},
      {"not_as_expected", std::move(unmet)}};
  return json::serialize(object) + "\n";
}

}  // namespace lp::probe::load
