#include "probes/statistics.h"

#include <algorithm>
#include <cmath>

namespace lp::probe {
namespace {

std::chrono::nanoseconds nearest_rank(const std::vector<std::int64_t>& sorted, unsigned percent) {
  // ceil(percent * n / 100), in integers so that no rounding moves a rank.
  const std::size_t rank = (percent * sorted.size() + 99) / 100;
  return std::chrono::nanoseconds(sorted[std::max<std::size_t>(rank, 1) - 1]);
}

}  // namespace

void Series::succeeded(std::chrono::nanoseconds time) {
  times_.push_back(time.count());
}

Summary Series::summarise() const {
  Summary summary;
  summary.ok = times_.size();
  summary.sent = summary.ok + failed_;
  if (summary.sent > 0) {
    summary.loss = static_cast<double>(failed_) / static_cast<double>(summary.sent);
  }
  if (times_.empty()) return summary;
  auto sorted = times_;
  std::ranges::sort(sorted);
  long double sum = 0;
  for (const auto time : sorted)
    sum += static_cast<long double>(time);
  summary.min = std::chrono::nanoseconds(sorted.front());
  summary.max = std::chrono::nanoseconds(sorted.back());
  summary.mean =
      std::chrono::nanoseconds(std::llround(sum / static_cast<long double>(sorted.size())));
  summary.p50 = nearest_rank(sorted, 50);
  summary.p90 = nearest_rank(sorted, 90);
  summary.p95 = nearest_rank(sorted, 95);
  summary.p99 = nearest_rank(sorted, 99);
  return summary;
}

void Statistics::add(const Attempt& attempt) {
  ++attempts_;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    // The failed stage may have no time of its own: a gateway that refuses message 3 is told apart
    // only after the request.
    if (attempt.error && attempt.error->stage == stage) {
      stages_[i].failed();
    } else if (const auto time = attempt.time(stage)) {
      if (attempt.error && i > static_cast<std::size_t>(attempt.error->stage)) continue;
      stages_[i].succeeded(*time);
    }
  }
  if (attempt.error) {
    total_.failed();
    ++errors_[name(attempt.error->code)];
  } else {
    total_.succeeded(attempt.total);
  }
}

Summary Statistics::stage(Stage stage) const {
  return stages_[static_cast<std::size_t>(stage)].summarise();
}

}  // namespace lp::probe
