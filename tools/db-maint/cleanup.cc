#include <fmt/format.h>

#include "tools/db-maint/commands.h"
#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/pacer.h"
#include "tools/db-maint/progress.h"
#include "tools/db-maint/values.h"

namespace lp::db_maint {
namespace {

UnixSeconds earlier(UnixSeconds time, std::uint64_t seconds) {
  return time > seconds ? time - seconds : 0;
}

/// Rows older than this go. A ticket that was spent proves that its time has been: what had expired
/// by then has expired by any clock, and without --force nothing else goes, however short the
/// retention.
UnixSeconds cutoff(Dated dated, const Options& options, UnixSeconds now,
                   const std::optional<UnixSeconds>& newest) {
  if (dated == Dated::lp_sessions) return earlier(now, options.session_retention);
  const auto by_clock = earlier(now, options.retention);
  return options.force ? by_clock : std::min(by_clock, newest.value_or(0));
}

struct Removed {
  std::int64_t rows = 0;
  std::optional<Failure> failure{};
};

/// Batch by batch, until none is left.
Removed remove_all(Store& store, Dated dated, UnixSeconds before, std::int64_t total,
                   const Options& options) {
  Removed removed;
  Progress progress;
  Pacer pacer;
  while (true) {
    if (interrupted()) {
      removed.failure = {exit_status::unknown, "interrupted; the next run removes what is left"};
      return removed;
    }
    const auto wanted = pacer.rows();
    const auto batch = store.remove_older(dated, before, wanted);
    if (!batch) {
      removed.failure = failure_of(batch.error(), options.database);
      return removed;
    }
    removed.rows += batch->rows;
    progress.show(name(dated), removed.rows, total);
    if (batch->rows < wanted) return removed;
    rest(pacer.learn(*batch));
  }
}

}  // namespace

Outcome<std::optional<UnixSeconds>> check_clock(Store& store, const Options& options,
                                                UnixSeconds now) {
  const auto newest = store.newest_activity();
  if (!newest) return std::unexpected(failure_of(newest.error(), options.database));
  if (!*newest || options.force || now <= **newest || now - **newest <= clock_slack) return *newest;
  const std::string_view what = store.kind() == StoreKind::gateway ? "the newest ticket was spent"
                                                                   : "the newest epoch has expired";
  return fail(
      exit_status::unknown,
      fmt::format("the time is {}, more than 7d after {} ({}): a clock that is wrong would "
                  "forget tickets that can still be spent; correct it, or use --force where "
                  "nobody came for so long",
                  print_time(now), what, print_time(**newest)));
}

Report cleanup(Store& store, const Options& options, UnixSeconds now) {
  Report report;
  report.table.columns = {"table", "rows", "older_than"};
  report.facts = {{"dry_run", options.dry_run}, {"as_of", Time{now}}};
  const auto newest = check_clock(store, options, now);
  if (!newest) {
    report.end_with(newest.error());
    return report;
  }
  const auto begun = std::chrono::steady_clock::now();
  std::int64_t removed_in_all = 0;
  for (const auto dated : store.dated()) {
    const auto before = cutoff(dated, options, now, *newest);
    const auto total = store.count_older(dated, before);
    if (!total) {
      report.end_with(failure_of(total.error(), options.database));
      break;
    }
    Removed removed{.rows = *total};
    if (!options.dry_run) {
      removed = remove_all(store, dated, before, *total, options);
      report.removed.emplace_back(name(dated), removed.rows);
      removed_in_all += removed.rows;
    }
    report.table.rows.push_back({std::string(name(dated)), removed.rows, Time{before}});
    if (removed.failure) {
      report.end_with(*removed.failure);
      break;
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (removed_in_all > 0 && seconds > 0) {
    report.facts.emplace_back(
        "rows_per_second",
        static_cast<std::int64_t>(static_cast<double>(removed_in_all) / seconds));
  }
  return report;
}

}  // namespace lp::db_maint
