#pragma once

namespace lp::cli {

/// Opens the standard streams that are closed, on /dev/null: the next file that is opened would get
/// their number, and what is printed would go into a database.
void open_standard_streams() noexcept;

/// Hands on what was printed. False where some of it was lost, by this call or one before: what
/// CLI11 prints flushes by itself and says nothing.
[[nodiscard]] bool standard_output_arrived() noexcept;

}  // namespace lp::cli
