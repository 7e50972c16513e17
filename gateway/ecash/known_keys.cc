#include "gateway/ecash/known_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "lib/base/encoding.h"

namespace lp::gateway::ecash {
namespace {

/// Trusted and revoked keys, found by either name.
class Index {
 public:
  explicit Index(const KnownKeys& known) {
    for (const auto* keys : {&known.trusted, &known.revoked}) {
      for (const auto& key : *keys) {
        by_id_.emplace(id_of(key), &key);
        by_public_key_.emplace(key.public_key.encode(), id_of(key));
      }
    }
  }
  [[nodiscard]] bool contradicts(const Key& key) const {
    if (const auto known = by_id_.find(id_of(key)); known != by_id_.end()) {
      if (known->second->public_key != key.public_key) return true;
    }
    // One key under two names would turn a ticket of one type into one of another.
    const auto named = by_public_key_.find(key.public_key.encode());
    return named != by_public_key_.end() && named->second != id_of(key);
  }

 private:
  std::map<KeyId, const Key*> by_id_;
  std::map<crypto::G2Encoding, KeyId> by_public_key_;
};

void sort_by_id(std::vector<Key>& keys) {
  std::ranges::sort(keys, {}, id_of);
}

void limit_revoked(std::vector<Key>& revoked, UnixSeconds now) {
  std::erase_if(revoked, [now](const Key& key) { return key.expiry <= now; });
  if (revoked.size() <= max_revoked_keys) return;
  std::ranges::sort(revoked, std::ranges::greater(), &Key::expiry);
  revoked.erase(revoked.begin() + max_revoked_keys, revoked.end());
}

}  // namespace

std::string to_string(const KeyId& id) {
  return fmt::format("{} with expiry {}", messages::name(id.type), id.expiry);
}

KnownKeys apply(const KnownKeys& known, const std::vector<Key>& answer, UnixSeconds now) {
  if (answer.empty()) return known;
  const Index index(known);
  KnownKeys next;
  next.confirmed_at = now;
  std::set<KeyId> kept;      // trusted as the chain has them
  std::set<KeyId> disputed;  // the chain has something else for them
  for (const auto& key : answer) {
    const bool contradicts = index.contradicts(key);
    (contradicts ? next.offered : next.trusted).push_back(key);
    (contradicts ? disputed : kept).insert(id_of(key));
  }
  for (const auto& key : known.trusted) {
    if (kept.contains(id_of(key))) continue;
    (disputed.contains(id_of(key)) ? next.trusted : next.revoked).push_back(key);
  }
  for (const auto& key : known.revoked) {
    if (!kept.contains(id_of(key))) next.revoked.push_back(key);
  }
  limit_revoked(next.revoked, now);
  sort_by_id(next.trusted);
  sort_by_id(next.revoked);
  sort_by_id(next.offered);
  return next;
}

std::expected<Accepted, std::string> accept(const KnownKeys& known, std::string_view prefix) {
  if (prefix.size() < min_prefix) {
    return std::unexpected(fmt::format(
        "a key is named by the first {} characters of its base64, or more", min_prefix));
  }
  const auto named = [prefix](const Key& key) {
    return to_base64(key.public_key.encode()).starts_with(prefix);
  };
  const auto count = std::ranges::count_if(known.offered, named);
  if (count != 1) {
    return std::unexpected(fmt::format("{} of the keys that the chain offers begins with that",
                                       count == 0 ? "none" : "more than one"));
  }
  const Key key = *std::ranges::find_if(known.offered, named);
  Accepted accepted{.known = known, .key = key};
  const auto contradicted = [&key](const Key& other) {
    return id_of(other) == id_of(key) || other.public_key == key.public_key;
  };
  std::erase_if(accepted.known.trusted, contradicted);
  std::erase_if(accepted.known.revoked, contradicted);
  std::erase_if(accepted.known.offered, contradicted);
  accepted.known.trusted.push_back(key);
  sort_by_id(accepted.known.trusted);
  return accepted;
}

const Key* find(const KnownKeys& known, const KeyId& id) noexcept {
  const auto at = std::ranges::lower_bound(known.trusted, id, {}, id_of);
  return at != known.trusted.end() && id_of(*at) == id ? &*at : nullptr;
}

}  // namespace lp::gateway::ecash
