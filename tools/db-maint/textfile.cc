#include "tools/db-maint/textfile.h"

#include <fmt/format.h>

#include "tools/db-maint/partial_file.h"

namespace lp::db_maint {
namespace {

constexpr unsigned for_everybody = 0644;

void family(std::string& text, std::string_view name, std::string_view help) {
  text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help);
}

}  // namespace

Outcome<void> write_textfile(const Options& options, const Store& store, const Report& report,
                             UnixSeconds now, double seconds) {
  const std::string labels =
      fmt::format("database=\"{}\",command=\"{}\"", name(store.kind()), name(options.command));
  std::string text;
  const auto gauge = [&](std::string_view metric, std::string_view help, auto value) {
    family(text, metric, help);
    text += fmt::format("{}{{{}}} {}\n", metric, labels, value);
  };
  gauge("lp_db_maint_last_success_timestamp_seconds", "When the command last ended well", now);
  gauge("lp_db_maint_duration_seconds", "How long it took", seconds);
  gauge("lp_db_maint_database_bytes", "Size of the database file after it", store.file_bytes());
  gauge("lp_db_maint_log_bytes", "Size of the write-ahead log after it", store.log_bytes());
  if (!report.removed.empty()) {
    family(text, "lp_db_maint_rows_removed", "Rows that it removed");
    for (const auto& [table, rows] : report.removed) {
      text += fmt::format("lp_db_maint_rows_removed{{{},table=\"{}\"}} {}\n", labels, table, rows);
    }
  }
  auto file = PartialFile::create(options.textfile, for_everybody);
  if (!file) return std::unexpected(file.error());
  if (auto written = file->write(text); !written) return written;
  return file->put_in_place();
}

}  // namespace lp::db_maint
