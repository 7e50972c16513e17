// SIGINT and SIGTERM end a command after the transaction that is under way; a second one ends it at
// once, which leaves no less whole a database.
#pragma once

#include <chrono>

namespace lp::db_maint {

void catch_interrupts();
[[nodiscard]] bool interrupted() noexcept;
/// Sleeps, or less where a signal comes.
void rest(std::chrono::nanoseconds time) noexcept;

}  // namespace lp::db_maint
