// What a load run counts. Each thread has one; they are added up when all have ended.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "probes/client/lp_registration_client.h"
#include "probes/errors.h"
#include "probes/load/histogram.h"
#include "probes/load/pacer.h"

namespace lp::probe::load {

/// The parts of a registration that are timed.
enum class Part : std::uint8_t {
  connect,       ///< TCP
  handshake,     ///< ClientHello to message 2
  registration,  ///< message 3 and the request to the response
};
inline constexpr std::size_t part_count = 3;
[[nodiscard]] std::string_view name(Part part) noexcept;

/// A registration that has ended.
struct Ended {
  Start start;
  MonotonicTime begun;
  MonotonicTime ended;
  std::optional<MonotonicTime> request_begun;  ///< the wallet's disk before that is not timed
  client::StepTimes times;
  std::optional<ProbeError> error;
};

struct ErrorTally {
  std::uint64_t count = 0;
  ProbeError first;
};

struct Tally {
  std::uint64_t attempts = 0;  ///< that were measured and have ended
  std::uint64_t ok = 0;
  std::uint64_t warmup = 0;     ///< made before the measurement began, however they ended
  std::uint64_t abandoned = 0;  ///< in flight when the run was interrupted
  /// Successes that ended between the warm-up and the end of the schedule, whenever they began:
  /// what throughput is made from. Neither the start of a run nor its end is in it.
  std::uint64_t ok_in_window = 0;
  Histogram latency;                        ///< of successes, from when they were due
  Histogram failure_latency;                ///< likewise of failures
  Histogram lateness;                       ///< from when they were due until they were begun
  std::array<Histogram, part_count> parts;  ///< of successes
  std::map<ProbeCode, ErrorTally> errors;
  std::optional<ProbeCode> wallet_error;  ///< the last, where an answer could not be noted

  void record(const Ended& ended, MonotonicTime window_begin, MonotonicTime window_end);
  void add(const Tally& other);
};

}  // namespace lp::probe::load
