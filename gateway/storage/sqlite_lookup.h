// Look-ups in an SQLite file, and how rows are read.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/storage/ledger.h"
#include "gateway/storage/sqlite.h"
#include "gateway/storage/statements.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

class SqliteLookup final : public Lookup {
 public:
  [[nodiscard]] static StorageResult<std::unique_ptr<Lookup>> open(Connection connection);

  StorageResult<std::optional<SpentTicket>> find_spent(
      const messages::Nullifier& nullifier) override;
  StorageResult<std::vector<Peer>> list_peers(const PeerPage& page) override;
  StorageResult<std::optional<Peer>> find_peer(const crypto::X25519Public& key) override;
  StorageResult<std::vector<crypto::X25519Public>> list_removals() override;
  void close() override;
  void hurry() noexcept override { connection_.patience().hurry(); }

 private:
  SqliteLookup(Connection connection, Statements statements)
      : connection_(std::move(connection)), statements_(std::move(statements)) {}

  Connection connection_;  // before what is prepared on it
  Statements statements_;
};

/// The ticket with this nullifier, if it was spent. For any connection.
[[nodiscard]] StorageResult<std::optional<SpentTicket>> find_spent_ticket(
    Statements& statements, const messages::Nullifier& nullifier);

/// The addresses in this column and the next one.
[[nodiscard]] StorageResult<AddressPair> read_addresses(const Query& row, int first_column);

}  // namespace lp::gateway::storage
