// The way of the log's lines to standard error: by a thread of its own, for whoever reads them may
// be slow or have stopped, and a service goes on all the same.
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

namespace lp::log {

/// So many lines wait for their reader; then the oldest are lost, and the next line that is read
/// tells how many.
inline constexpr std::size_t most_lines_waiting = 4'096;

/// Hands a line, without its newline, to the thread, which the first call starts. Never waits for
/// the reader. Throws where there is no memory or no thread.
void put_line(std::string_view line);

/// Waits until what was put before is written or lost, but no longer than this.
inline constexpr std::chrono::milliseconds longest_flush{500};
void flush_lines();

}  // namespace lp::log
