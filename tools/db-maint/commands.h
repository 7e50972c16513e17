// The commands. Each says what it did; what it says is printed by whoever calls.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/db-maint/options.h"
#include "tools/db-maint/store.h"
#include "tools/db-maint/table.h"

namespace lp::db_maint {

struct Report {
  Table table{};
  Facts facts{};
  /// Rows removed, by table; for the metrics.
  std::vector<std::pair<std::string, std::int64_t>> removed{};
  /// Other than ok: the sentence says why. What was done until then is in the rest.
  int status = exit_status::ok;
  std::string sentence{};

  void end_with(Failure failure) {
    status = failure.status;
    sentence = std::move(failure.sentence);
  }
};

/// `now` is the time to judge by.
[[nodiscard]] Report cleanup(Store& store, const Options& options, UnixSeconds now);
[[nodiscard]] Report stale_peers(Store& store, const Options& options, UnixSeconds now);
[[nodiscard]] Report report(Store& store, const Options& options);
[[nodiscard]] Report stats(Store& store, const Options& options, UnixSeconds now);
[[nodiscard]] Report check(Store& store, const Options& options, UnixSeconds now);
[[nodiscard]] Report backup(Store& store, const Options& options);
[[nodiscard]] Report vacuum(Store& store, const Options& options);
[[nodiscard]] Report migrate(Store& store, const Options& options);

/// `source` is a gateway's database in SQLite.
[[nodiscard]] Report copy(Store& source, const Options& options);

/// How far the clock may be past the newest activity in the database.
inline constexpr std::uint64_t clock_slack = 7 * 86'400;
/// Refuses a clock that the database gives reason to doubt: one that is ahead makes everything look
/// old. Gives the newest activity, if there is any.
[[nodiscard]] Outcome<std::optional<UnixSeconds>> check_clock(Store& store, const Options& options,
                                                              UnixSeconds now);

}  // namespace lp::db_maint
