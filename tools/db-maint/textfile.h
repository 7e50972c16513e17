// Metrics for the textfile collector of Prometheus's node exporter.
#pragma once

#include "tools/db-maint/commands.h"

namespace lp::db_maint {

/// Written beside and renamed, mode 0644.
[[nodiscard]] Outcome<void> write_textfile(const Options& options, const Store& store,
                                           const Report& report, UnixSeconds now, double seconds);

}  // namespace lp::db_maint
