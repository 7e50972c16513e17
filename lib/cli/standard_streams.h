#pragma once

namespace lp::cli {

/// Opens the standard streams that are closed, on /dev/null: the next file that is opened would get
/// their number, and what is printed would go into a database.
void open_standard_streams() noexcept;

}  // namespace lp::cli
