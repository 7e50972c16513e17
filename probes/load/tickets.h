// Tickets for the registrations of a load run.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "probes/errors.h"
#include "probes/wallet/bandwidth_controller.h"

namespace lp::probe::load {

/// Used by any number of threads.
class Tickets {
 public:
  /// Mock tickets: made as they are needed.
  Tickets(wallet::BandwidthController& controller, messages::TicketType type,
          const crypto::Identity& gateway)
      : controller_(controller), type_(type), gateway_(gateway) {}

  /// Takes `count` tickets beforehand; next() then gives these and no others. A run does not begin
  /// with fewer: what cannot be paid for would be counted as the gateway's failure. Errors as of
  /// the controller, and no_ticket.
  [[nodiscard]] Outcome<void> reserve(std::uint64_t count);

  [[nodiscard]] Outcome<std::unique_ptr<wallet::SpendableTicket>> next();

 private:
  wallet::BandwidthController& controller_;
  messages::TicketType type_;
  crypto::Identity gateway_;
  std::mutex mutex_;
  bool reserved_ = false;
  wallet::SpendableTickets stock_;
};

}  // namespace lp::probe::load
