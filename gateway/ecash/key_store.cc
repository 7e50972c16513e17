#include "gateway/ecash/key_store.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "gateway/config/log.h"
#include "gateway/ecash/key_cache_file.h"
#include "lib/base/encoding.h"

namespace lp::gateway::ecash {
namespace {

using Named = std::set<std::pair<KeyId, crypto::G2Encoding>>;

Named names(const std::vector<Key>& keys) {
  Named named;
  for (const auto& key : keys)
    named.emplace(id_of(key), key.public_key.encode());
  return named;
}

/// Writes a line for each of `keys` that is not in `others`; a chain may change thousands at once.
template <typename Describe>
void log_new(log::Level level, const Named& keys, const Named& others, Describe describe) {
  constexpr std::size_t lines = 16;
  std::size_t count = 0;
  for (const auto& key : keys) {
    if (!others.contains(key) && ++count <= lines) log::write(level, describe(key));
  }
  if (count > lines) log::write(level, fmt::format("… and {} more of these", count - lines));
}

void log_changes(const KnownKeys& before, const KnownKeys& after) {
  const Named was_trusted = names(before.trusted);
  const Named is_trusted = names(after.trusted);
  log_new(log::Level::info, is_trusted, was_trusted,
          [](const auto& key) { return "new verification key: " + to_string(key.first); });
  // A chain that takes an expired key away does what is expected of it.
  Named revoked = was_trusted;
  std::erase_if(revoked, [&](const auto& key) { return key.first.expiry <= after.confirmed_at; });
  log_new(log::Level::warning, revoked, is_trusted, [](const auto& key) {
    return "the chain has revoked the verification key of " + to_string(key.first);
  });
  log_new(log::Level::error, names(after.offered), names(before.offered), [](const auto& key) {
    return fmt::format(
        "ALARM: the chain offers a verification key of {} that contradicts what is known; it is "
        "refused until lp-gateway keys accept {}",
        to_string(key.first), to_base64(key.second).substr(0, min_prefix));
  });
}

}  // namespace

KeyStore::KeyStore(std::filesystem::path path, std::string contract, KnownKeys known)
    : path_(std::move(path)),
      contract_(std::move(contract)),
      known_(std::make_shared<const KnownKeys>(std::move(known))) {}

std::expected<std::unique_ptr<KeyStore>, std::string> KeyStore::open(std::filesystem::path path,
                                                                     std::string contract) {
  auto cache = read_key_cache(path);
  if (!cache) {
    return std::unexpected(cache.error() +
                           "; remove it to take the keys that the chain has now as they are");
  }
  KnownKeys known;
  if (*cache && (*cache)->contract == contract) {
    known = std::move((*cache)->known);
  } else if (*cache) {
    log::warning("the verification keys are of another contract; they will be replaced",
                 {{"file", path.string()}});
  }
  return std::unique_ptr<KeyStore>(
      new KeyStore(std::move(path), std::move(contract), std::move(known)));
}

std::shared_ptr<const KnownKeys> KeyStore::known() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

std::shared_ptr<const Key> KeyStore::find(const KeyId& id) const {
  auto snapshot = known();
  const Key* key = ecash::find(*snapshot, id);
  if (key == nullptr) return nullptr;
  return {std::move(snapshot), key};
}

void KeyStore::apply(const std::vector<Key>& answer, UnixSeconds now) {
  if (answer.empty()) return;
  const std::lock_guard writing(writing_);
  const auto before = known();
  auto next = ecash::apply(*before, answer, now);
  log_changes(*before, next);
  replace(std::move(next));
}

std::expected<Key, std::string> KeyStore::accept(std::string_view prefix) {
  const std::lock_guard writing(writing_);
  auto accepted = ecash::accept(*known(), prefix);
  if (!accepted) return std::unexpected(std::move(accepted.error()));
  log::warning("accepted by the operator: the verification key of " +
               to_string(id_of(accepted->key)));
  replace(std::move(accepted->known));
  return accepted->key;
}

// What is in memory holds even where the disk is full: a revoked key must go now.
void KeyStore::replace(KnownKeys next) {
  const auto written = write_key_cache(path_, {.contract = contract_, .known = next});
  auto snapshot = std::make_shared<const KnownKeys>(std::move(next));
  const std::lock_guard lock(mutex_);
  known_ = std::move(snapshot);
  write_problem_ = written ? std::string() : written.error();
  if (!written) log::error("verification keys not written", {{"error", write_problem_}});
}

std::string KeyStore::write_problem() const {
  const std::lock_guard lock(mutex_);
  return write_problem_;
}

}  // namespace lp::gateway::ecash
