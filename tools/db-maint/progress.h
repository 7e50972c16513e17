// A line on standard error that shows how far a long piece of work is; only on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace lp::db_maint {

class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// At most ten times a second. `total` 0: not known.
  void show(std::string_view what, std::int64_t done, std::int64_t total);
  /// Takes the line away, before anything else is written.
  void clear();

 private:
  bool terminal_ = false;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace lp::db_maint
