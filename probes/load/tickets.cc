#include "probes/load/tickets.h"

#include <fmt/format.h>

#include <algorithm>

namespace lp::probe::load {

Outcome<void> Tickets::reserve(std::uint64_t count) {
  auto tickets = controller_.get_ecash_ticket(type_, gateway_, count);
  if (!tickets) return std::unexpected(std::move(tickets.error()));
  if (tickets->size() < count) {
    return fail(Stage::resolve, ProbeCode::no_ticket,
                fmt::format("--count is {} and there are only {} tickets of type {} for {}", count,
                            tickets->size(), messages::name(type_), gateway_.to_base58()));
  }
  stock_ = std::move(*tickets);
  std::ranges::reverse(stock_);  // taken from the back
  reserved_ = true;
  return {};
}

Outcome<std::unique_ptr<wallet::SpendableTicket>> Tickets::next() {
  if (!reserved_) {
    auto made = controller_.get_ecash_ticket(type_, gateway_, 1);
    if (!made) return std::unexpected(std::move(made.error()));
    return std::move(made->front());
  }
  const std::lock_guard lock(mutex_);
  if (stock_.empty()) {
    return fail(Stage::resolve, ProbeCode::no_ticket, "no ticket is left of those taken");
  }
  auto ticket = std::move(stock_.back());
  stock_.pop_back();
  return ticket;
}

}  // namespace lp::probe::load
