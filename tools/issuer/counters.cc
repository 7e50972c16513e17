#include "tools/issuer/counters.h"

#include <fmt/format.h>

#include <iterator>

namespace lp::issuer {

void Counters::count_request(std::string_view route, unsigned status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

void Counters::count_signed(messages::TicketType type, std::uint64_t charged,
                            std::uint64_t repeated) {
  const std::lock_guard lock(mutex_);
  Signed& of_type = signed_[static_cast<std::size_t>(type)];
  of_type.charged += charged;
  of_type.repeated += repeated;
}

std::string Counters::text() const {
  const std::lock_guard lock(mutex_);
  std::string text =
      "# HELP lp_issuer_requests_total HTTP requests by route and status.\n"
      "# TYPE lp_issuer_requests_total counter\n";
  const auto out = std::back_inserter(text);
  for (const auto& [name, count] : requests_) {
    fmt::format_to(out, "lp_issuer_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", name.first,
                   name.second, count);
  }
  text +=
      "# HELP lp_issuer_points_signed_total Blinded points by ticket type: charged to a token, or "
      "repeated without a charge.\n"
      "# TYPE lp_issuer_points_signed_total counter\n";
  for (std::size_t i = 0; i < signed_.size(); ++i) {
    const auto type = messages::name(static_cast<messages::TicketType>(i));
    fmt::format_to(out, "lp_issuer_points_signed_total{{ticket_type=\"{}\",kind=\"charged\"}} {}\n",
                   type, signed_[i].charged);
    fmt::format_to(out,
                   "lp_issuer_points_signed_total{{ticket_type=\"{}\",kind=\"repeated\"}} {}\n",
                   type, signed_[i].repeated);
  }
  return text;
}

}  // namespace lp::issuer
