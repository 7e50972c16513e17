#include "probes/load/tally.h"

namespace lp::probe::load {

std::string_view name(Part part) noexcept {
  static constexpr std::array<std::string_view, part_count> names{"connect", "handshake",
                                                                  "registration"};
  return names[static_cast<std::size_t>(part)];
}

void Tally::record(const Ended& ended, MonotonicTime window_begin, MonotonicTime window_end) {
  const bool good = !ended.error;
  if (good && ended.ended >= window_begin && ended.ended < window_end) ++ok_in_window;
  if (!ended.start.measured) {
    ++warmup;
    return;
  }
  ++attempts;
  lateness.record(ended.begun - ended.start.due);
  if (!good) {
    failure_latency.record(ended.ended - ended.start.due);
    auto& error = errors[ended.error->code];
    if (error.count++ == 0) error.first = *ended.error;
    return;
  }
  ++ok;
  latency.record(ended.ended - ended.start.due);
  const auto& times = ended.times;
  const auto record_part = [this](Part part, const auto& from, const auto& to) {
    if (from && to) parts[static_cast<std::size_t>(part)].record(*to - *from);
  };
  record_part(Part::connect, std::optional(ended.begun), times.connected);
  record_part(Part::handshake, times.connected, times.handshake_complete);
  record_part(Part::registration, ended.request_begun, times.response_received);
}

void Tally::add(const Tally& other) {
  attempts += other.attempts;
  ok += other.ok;
  warmup += other.warmup;
  abandoned += other.abandoned;
  ok_in_window += other.ok_in_window;
  latency.add(other.latency);
  failure_latency.add(other.failure_latency);
  lateness.add(other.lateness);
  for (std::size_t i = 0; i < parts.size(); ++i)
    parts[i].add(other.parts[i]);
  if (!wallet_error) wallet_error = other.wallet_error;
  for (const auto& [code, error] : other.errors) {
    auto& own = errors[code];
    if (own.count == 0) own.first = error.first;
    own.count += error.count;
  }
}

}  // namespace lp::probe::load
