// Every SQL statement of the running gateway, in one place, each prepared once for a connection.
// docs/storage.md, "Statements of a registration", tells how they are put together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/storage/sqlite.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

enum class Sql : std::uint8_t {
  spend_wireguard,
  spend_mixnet,
  insert_client,
  insert_wireguard_peer,
  insert_mixnet_client,
  insert_bandwidth,
  link_ticket,
  select_addresses,
  touch_mixnet_client,
  credit,
  cancel_removal,
  find_spent,
  forget_ticket,
  unspend,
  debit,
  has_tickets,
  delete_client,
  note_removal,
  select_peers,
  select_peer,
  select_removals,
  count_usage,
  use_bandwidth,
  note_spent_peer,
  reset_counters,
  delete_wireguard_client,
  is_removal_noted,
  insert_session,
  complete_session,
  select_peer_addresses,
  select_released_addresses,
  // Not counted among the statements:
  begin,
  commit,
  roll_back,
};
inline constexpr std::size_t sql_count = static_cast<std::size_t>(Sql::roll_back) + 1;

/// The text of a statement. Its comment there names its parameters' order.
[[nodiscard]] std::string_view text(Sql sql) noexcept;

class Statements {
 public:
  [[nodiscard]] static StorageResult<Statements> prepare(Connection& connection);
  [[nodiscard]] Statement& operator[](Sql sql) noexcept {
    return statements_[static_cast<std::size_t>(sql)];
  }
  /// Executions so far, of all statements but BEGIN, COMMIT and ROLLBACK.
  [[nodiscard]] std::uint64_t runs() const noexcept;

 private:
  std::array<Statement, sql_count> statements_;
};

/// The words of the columns `clients.kind` and `spent_credentials.mode`.
[[nodiscard]] constexpr std::string_view kind_word(ClientKind kind) noexcept {
  return kind == ClientKind::wireguard ? "wireguard" : "mixnet";
}
[[nodiscard]] constexpr std::string_view mode_word(ClientKind kind) noexcept {
  return kind == ClientKind::wireguard ? "dvpn" : "mixnet";
}

}  // namespace lp::gateway::storage
