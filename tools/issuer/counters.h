// What /metrics tells.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "lib/messages/registration.h"

namespace lp::issuer {

/// Any thread.
class Counters {
 public:
  /// `route` is one of a few fixed names.
  void count_request(std::string_view route, unsigned status);
  /// Points that were charged, and points that had been signed for the same token before.
  void count_signed(messages::TicketType type, std::uint64_t charged, std::uint64_t repeated);

  /// Prometheus's text format.
  [[nodiscard]] std::string text() const;

 private:
  struct Signed {
    std::uint64_t charged = 0;
    std::uint64_t repeated = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string_view, unsigned>, std::uint64_t> requests_;
  std::array<Signed, messages::ticket_type_count> signed_{};
};

}  // namespace lp::issuer
