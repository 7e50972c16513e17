// Results as the tests that continuous integration shows: a suite for each target, a case for each
// stage. The XML is the one that Jenkins' junit plugin and GitLab read.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

#include "probes/options/values.h"
#include "probes/report/report.h"

namespace lp::probe::report {
namespace {

using boost::property_tree::ptree;
using options::to_seconds;

// XML has no way to write most control characters, and a peer may have sent them.
constexpr std::size_t longest_text = 1'000;

void set(ptree& element, const char* attribute, std::string_view value) {
  element.put(std::string("<xmlattr>.") + attribute, printable(value, longest_text));
}
void set(ptree& element, const char* attribute, std::uint64_t value) {
  set(element, attribute, fmt::to_string(value));
}
void set_time(ptree& element, std::chrono::nanoseconds time) {
  set(element, "time", fmt::format("{:.6f}", to_seconds(time)));
}

class JunitWriter final : public Writer {
 public:
  explicit JunitWriter(std::FILE* out) : out_(out) {}

  void attempt(const TargetInfo&, std::uint64_t, const AttemptReport&) override {}

  void target(const TargetReport& report) override {
    Suite suite;
    std::chrono::nanoseconds time{};
    for (std::size_t i = 0; i < stage_count; ++i) {
      const auto stage = static_cast<Stage>(i);
      const auto summary = report.statistics.stage(stage);
      const auto& error = report.last.attempt.error;
      if (summary.sent == 0 && !(error && stage > error->stage && stage < Stage::tunnel)) continue;
      time += summary.mean;
      ptree& element = suite.add_case(report, name(stage));
      set_time(element, summary.mean);
      if (summary.sent == 0) {
        suite.skip(element);
      } else if (summary.ok < summary.sent) {
        describe_failure(suite.fail(element, report.level), report, stage, summary);
      }
    }
    add_limits(suite, report);
    suite.finish(report, time);
    totals_.add(suite);
    root_.add_child("testsuite", suite.element);
  }

  void finish() override {
    totals_.write_to(root_);
    set(root_, "name", "lp-probe");
    ptree document;
    document.add_child("testsuites", root_);
    std::ostringstream text;
    boost::property_tree::write_xml(
        text, document, boost::property_tree::xml_writer_make_settings<std::string>(' ', 2));
    std::fputs(text.str().c_str(), out_);
    std::fflush(out_);
  }

 private:
  struct Counts {
    std::uint64_t tests = 0, failures = 0, errors = 0, skipped = 0;

    void add(const Counts& other) {
      tests += other.tests;
      failures += other.failures;
      errors += other.errors;
      skipped += other.skipped;
    }
    void write_to(ptree& element) const {
      set(element, "tests", tests);
      set(element, "failures", failures);
      set(element, "errors", errors);
      set(element, "skipped", skipped);
    }
  };

  struct Suite : Counts {
    ptree element;

    ptree& add_case(const TargetReport& report, std::string_view name) {
      ++tests;
      ptree& added = element.add_child("testcase", {});
      set(added, "classname", "lp-probe " + report.info.address);
      set(added, "name", name);
      return added;
    }
    void skip(ptree& of_case) {
      ++skipped;
      of_case.add_child("skipped", {});
    }
    /// An error is what says nothing about the gateway.
    ptree& fail(ptree& of_case, Level level) {
      const bool unknown = level == Level::unknown;
      ++(unknown ? errors : failures);
      return of_case.add_child(unknown ? "error" : "failure", {});
    }
    void finish(const TargetReport& report, std::chrono::nanoseconds time) {
      write_to(element);
      set(element, "name", report.info.text);
      set_time(element, time);
      const auto started = static_cast<std::time_t>(report.last.attempt.started);
      set(element, "timestamp", fmt::format("{:%FT%TZ}", fmt::gmtime(started)));
    }
  };

  static void describe_failure(ptree& failure, const TargetReport& report, Stage stage,
                               const Summary& summary) {
    const auto& error = report.last.attempt.error;
    if (report.statistics.attempts() == 1 && error) {
      set(failure, "type", name(error->code));
      set(failure, "message", error->detail);
      failure.data() = printable(report.last.hint, longest_text);
      return;
    }
    set(failure, "type", "loss");
    set(failure, "message",
        fmt::format("{} of {} probes failed here", summary.sent - summary.ok, summary.sent));
    if (error && error->stage == stage) {
      failure.data() = printable(fmt::format("the last: {}: {}", name(error->code), error->detail),
                                 longest_text);
    }
  }

  /// What --warn and --crit allow, and the tunnel's remarks: none of it belongs to one stage.
  static void add_limits(Suite& suite, const TargetReport& report) {
    const auto& attempt = report.last.attempt;
    auto sentences = report.last.verdict.exceeded;
    if (attempt.tunnel) {
      sentences.insert(sentences.end(), attempt.tunnel->remarks.begin(),
                       attempt.tunnel->remarks.end());
    }
    if (sentences.empty() && report.level == Level::warning) {
      sentences.emplace_back("in an earlier probe");
    }
    if (sentences.empty()) return;
    ptree& failure = suite.fail(suite.add_case(report, "limits"), report.level);
    set(failure, "type", name(report.level));
    set(failure, "message", fmt::format("{}", fmt::join(sentences, ", ")));
  }

  std::FILE* out_;
  ptree root_;
  Counts totals_;
};

}  // namespace

std::unique_ptr<Writer> make_junit_writer(std::FILE* out) {
  return std::make_unique<JunitWriter>(out);
}

}  // namespace lp::probe::report
