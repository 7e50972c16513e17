#include "lib/wireguard/refusal.h"

#include <array>
#include <cstddef>

namespace lp::wireguard {
namespace {

struct Entry {
  Refusal refusal;
  std::string_view name;
  std::string_view gloss;
};

constexpr std::array entries{
    Entry{Refusal::message_type, "message_type", "it is no WireGuard message"},
    Entry{Refusal::message_size, "message_size", "it has not the size of its type"},
    Entry{Refusal::receiver_unknown, "receiver_unknown", "it is for another session"},
    Entry{Refusal::mac1_invalid, "mac1_invalid", "its mac1 is not for this key"},
    Entry{Refusal::authentication, "authentication", "it does not authenticate"},
    Entry{Refusal::key_low_order, "key_low_order", "it carries a key of low order"},
    Entry{Refusal::not_expected, "not_expected", "nothing waits for it"},
    Entry{Refusal::replay_duplicate, "replay_duplicate", "its counter was accepted before"},
    Entry{Refusal::replay_too_old, "replay_too_old", "its counter lies below the replay window"},
    Entry{Refusal::expired, "expired", "the session's keys have expired"},
};

consteval bool in_order() {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (static_cast<std::size_t>(entries[i].refusal) != i) return false;
  }
  return entries.back().refusal == Refusal::expired;
}
static_assert(in_order(), "the table has every refusal once, in the enumeration's order");

}  // namespace

std::string_view name(Refusal refusal) noexcept {
  return entries[static_cast<std::size_t>(refusal)].name;
}

std::string_view gloss(Refusal refusal) noexcept {
  return entries[static_cast<std::size_t>(refusal)].gloss;
}

}  // namespace lp::wireguard
