// Look-ups in the PostgreSQL database, on a connection of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/storage/ledger.h"
#include "gateway/storage/postgres_session.h"
#include "gateway/storage/postgres_storage.h"

namespace lp::gateway::storage {

class PostgresLookup final : public Lookup {
 public:
  /// Connects.
  [[nodiscard]] static StorageResult<std::unique_ptr<Lookup>> open(const postgres::Url& url,
                                                                   const PostgresOptions& options);

  StorageResult<std::optional<SpentTicket>> find_spent(
      const messages::Nullifier& nullifier) override;
  StorageResult<std::vector<Peer>> list_peers(const PeerPage& page) override;
  StorageResult<std::optional<Peer>> find_peer(const crypto::X25519Public& key) override;
  StorageResult<std::vector<crypto::X25519Public>> list_removals() override;
  void close() override { session_.close(); }
  void hurry() noexcept override { session_.hurry(); }

 private:
  PostgresLookup(const postgres::Url& url, const PostgresOptions& options);
  /// Runs a prepared statement; again on a new connection where the old one turns out to be lost.
  [[nodiscard]] StorageResult<postgres::Rows> run(const char* name, const postgres::Params& params);

  std::string instance_;
  PostgresSession session_;
};

}  // namespace lp::gateway::storage
