// Results, and who writes them. A writer gets every attempt as it ends and every target when it is
// done, and writes to standard output and nowhere else.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "probes/attempt.h"
#include "probes/statistics.h"
#include "probes/verdict.h"

namespace lp::probe::report {

/// Where a target's identity comes from.
enum class IdentitySource : std::uint8_t {
  unknown,          ///< it could not be learned
  given,            ///< on the command line
  http_unverified,  ///< over HTTP: whoever answered may have named any
  http_trusted,     ///< the same, with --trust-http-identity
  http_expected,    ///< over HTTP, and it is the one that was expected
};
[[nodiscard]] std::string_view name(IdentitySource source) noexcept;

struct TargetInfo {
  std::string text;      ///< as given
  std::string identity;  ///< base58; empty where it could not be learned
  IdentitySource identity_source = IdentitySource::unknown;
  std::string address;  ///< "host:port" of LP
  std::string mode;
  std::string ticket_type;
  bool mock_ecash = true;
  std::optional<std::string> gateway_version;  ///< from /api/v1/lp
};

struct AttemptReport {
  std::uint64_t sequence = 1;  ///< from 1
  Attempt attempt;
  Verdict verdict;
  std::string hint;  ///< what to look at next; empty after a success
  /// The gateway's clock less ours, where it was asked for.
  std::optional<std::int64_t> clock_offset_seconds;
};

struct TargetReport {
  TargetInfo info;
  std::uint64_t wanted = 1;  ///< --count
  AttemptReport last;
  Statistics statistics;
  Level level = Level::ok;
};

class Writer {
 public:
  virtual ~Writer() = default;
  virtual void attempt(const TargetInfo& target, std::uint64_t wanted,
                       const AttemptReport& report) = 0;
  virtual void target(const TargetReport& report) = 0;
  virtual void finish() = 0;
};

struct TextOptions {
  bool color = false;
  /// Several targets are probed at the same time: each line of --count names its own.
  bool together = false;
};
[[nodiscard]] std::unique_ptr<Writer> make_text_writer(std::FILE* out, TextOptions options);
/// One object; with `several` targets an array of them.
[[nodiscard]] std::unique_ptr<Writer> make_json_writer(std::FILE* out, bool several);
/// One object a line, for each target as it is done.
[[nodiscard]] std::unique_ptr<Writer> make_ndjson_writer(std::FILE* out);
/// JUnit's XML, once all targets are done: a test suite for each, a case for each of its stages.
[[nodiscard]] std::unique_ptr<Writer> make_junit_writer(std::FILE* out);
/// The plugin's output (Nagios Plugin API), performance data with the limits included.
[[nodiscard]] std::unique_ptr<Writer> make_nagios_writer(std::FILE* out,
                                                         const options::Thresholds& warn,
                                                         const options::Thresholds& crit);

/// Metrics in Prometheus's text format, once all targets are done.
[[nodiscard]] std::unique_ptr<Writer> make_prometheus_writer(std::FILE* out);

/// What an attempt that went well has to show: "registered", "the tunnel works", or both. With its
/// times, as "registered in 21.0 ms, tunnel in 1.61 s".
[[nodiscard]] std::string describe_success(const Attempt& attempt);
/// What those of several that went well have: "registered" or "with a working tunnel".
[[nodiscard]] std::string_view success_word(const Statistics& statistics);
/// One version of IP inside the tunnel, in one line: "gateway 5/5 in 412 us, addresses 5/5 in 12.1
/// ms, names 1/1 in 20.3 ms, hosts 5/5 in 12.0 ms". Empty where nothing was asked.
[[nodiscard]] std::string describe_family(const tunnel::FamilyResult& family);

/// "1.07 GB".
[[nodiscard]] std::string format_bytes(std::int64_t bytes);

}  // namespace lp::probe::report
