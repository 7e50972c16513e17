#include "tools/db-maint/textfile.h"

#include "lib/file/exposition.h"
#include "tools/db-maint/partial_file.h"

namespace lp::db_maint {

Outcome<void> write_textfile(const Options& options, const Store& store, const Report& report,
                             UnixSeconds now, double seconds) {
  const file::Exposition::Labels labels{{"database", std::string(name(store.kind()))},
                                        {"command", std::string(name(options.command))}};
  file::Exposition metrics;
  metrics.gauge("lp_db_maint_last_success_timestamp_seconds", "When the command last ended well",
                labels, now);
  metrics.gauge("lp_db_maint_duration_seconds", "How long it took", labels, seconds);
  metrics.gauge("lp_db_maint_database_bytes", "Size of the database file after it", labels,
                static_cast<std::uint64_t>(store.file_bytes()));
  metrics.gauge("lp_db_maint_log_bytes", "Size of the write-ahead log after it", labels,
                static_cast<std::uint64_t>(store.log_bytes()));
  for (const auto& [table, rows] : report.removed) {
    auto of_table = labels;
    of_table.emplace_back("table", table);
    metrics.gauge("lp_db_maint_rows_removed", "Rows that it removed", of_table,
                  static_cast<std::uint64_t>(rows));
  }
  return with_status(file::write_textfile(options.textfile, metrics));
}

}  // namespace lp::db_maint
