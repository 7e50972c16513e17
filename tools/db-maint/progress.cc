#include "tools/db-maint/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tools/db-maint/values.h"

namespace lp::db_maint {
namespace {

constexpr std::chrono::milliseconds interval{100};

bool is_capable_terminal() {
  const char* const term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

Progress::Progress() : terminal_(is_capable_terminal()) {}

void Progress::show(std::string_view what, std::int64_t done, std::int64_t total) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < interval) return;
  shown_ = true;
  last_ = now;
  std::string line = fmt::format("\r\033[K{}: {}", what, print_number(done));
  if (total > 0) {
    line += fmt::format(
        " of {} ({} %)", print_number(total),
        static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total)));
  }
  // A terminal that has gone away is no reason to stop: fmt::print would throw.
  (void)std::fputs(line.c_str(), stderr);
  (void)std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  (void)std::fputs("\r\033[K", stderr);
  (void)std::fflush(stderr);
}

}  // namespace lp::db_maint
