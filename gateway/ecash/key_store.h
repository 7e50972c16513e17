// The keys that tickets are verified with: in memory for those who verify, on disk for the next
// start (docs/ecash.md, "Chain").
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/ecash/known_keys.h"

namespace lp::gateway::ecash {

/// All functions may be called from any thread. Readers take a snapshot and wait for nobody who
/// writes to disk.
class KeyStore {
 public:
  /// Reads the cache at `path` where there is one. One that cannot be read or is not good is an
  /// error: with it the gateway would forget which keys it has refused. A cache of another contract
  /// is passed over.
  [[nodiscard]] static std::expected<std::unique_ptr<KeyStore>, std::string> open(
      std::filesystem::path path, std::string contract);

  [[nodiscard]] std::shared_ptr<const KnownKeys> known() const;
  /// The trusted key with that id; none: null. Holds its snapshot.
  [[nodiscard]] std::shared_ptr<const Key> find(const KeyId& id) const;

  /// Applies a well-formed answer of the chain and logs what it changed.
  void apply(const std::vector<Key>& answer, UnixSeconds now);
  /// See `accept` of known_keys.h.
  [[nodiscard]] std::expected<Key, std::string> accept(std::string_view prefix);

  /// Why the file is older than what is in memory; empty where it is not.
  [[nodiscard]] std::string write_problem() const;

 private:
  KeyStore(std::filesystem::path path, std::string contract, KnownKeys known);
  void replace(KnownKeys next);

  const std::filesystem::path path_;
  const std::string contract_;
  std::mutex writing_;  // held over a change and its way to disk

  mutable std::mutex mutex_;  // held for a pointer's copy; libstdc++ 12's atomic<shared_ptr> races
  std::shared_ptr<const KnownKeys> known_;
  std::string write_problem_;
};

}  // namespace lp::gateway::ecash
