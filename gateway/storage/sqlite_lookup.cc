#include "gateway/storage/sqlite_lookup.h"

#include "gateway/storage/address_pool.h"

namespace lp::gateway::storage {
namespace {

StorageResult<ByteArray<32>> key_column(const Query& query, int column) {
  const auto blob = query.blob(column);
  if (blob.size() != 32) return std::unexpected(damaged("a key that has not 32 bytes"));
  return to_array<32>(blob);
}

StorageResult<Peer> read_peer(const Query& row) {
  const auto key = key_column(row, 1);
  if (!key) return std::unexpected(key.error());
  const auto addresses = read_addresses(row, 2);
  if (!addresses) return std::unexpected(addresses.error());
  const auto ticket_type = messages::ticket_type_from_name(row.text(4));
  if (!ticket_type) return std::unexpected(damaged("a ticket type that is none"));
  Peer peer{.client_id = row.integer(0),
            .public_key = {*key},
            .addresses = *addresses,
            .ticket_type = *ticket_type,
            .available = row.integer(5),
            .used = row.integer(6),
            .credited = row.integer(7),
            .created_at = static_cast<UnixSeconds>(row.integer(8)),
            .last_seen = std::nullopt,
            .counters = {.rx = row.integer(10), .tx = row.integer(11)},
            .removal_noted = row.integer(12) != 0};
  if (!row.is_null(9)) peer.last_seen = static_cast<UnixSeconds>(row.integer(9));
  return peer;
}

}  // namespace

StorageResult<AddressPair> read_addresses(const Query& query, int first_column) {
  const auto ipv4 = parse_address<4>(query.text(first_column));
  const auto ipv6 = parse_address<16>(query.text(first_column + 1));
  if (!ipv4 || !ipv6) return std::unexpected(damaged("an address that is none"));
  return AddressPair{{*ipv4}, {*ipv6}};
}

StorageResult<std::unique_ptr<Lookup>> SqliteLookup::open(Connection connection) {
  auto statements = Statements::prepare(connection);
  if (!statements) return std::unexpected(std::move(statements.error()));
  return std::unique_ptr<Lookup>(new SqliteLookup(std::move(connection), std::move(*statements)));
}

StorageResult<std::optional<SpentTicket>> SqliteLookup::find_spent(
    const messages::Nullifier& nullifier) {
  return find_spent_ticket(statements_, nullifier);
}

void SqliteLookup::close() {
  statements_ = Statements();
  connection_.close();
}

StorageResult<std::optional<SpentTicket>> find_spent_ticket(Statements& statements,
                                                            const messages::Nullifier& nullifier) {
  Query find(statements[Sql::find_spent]);
  find.bind(nullifier);
  const auto row = find.next();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  SpentTicket ticket;
  ticket.owner.kind =
      find.text(0) == mode_word(ClientKind::wireguard) ? ClientKind::wireguard : ClientKind::mixnet;
  const auto key = key_column(find, 1);
  if (!key) return std::unexpected(key.error());
  ticket.owner.key = *key;
  ticket.amount = find.integer(2);
  if (!find.is_null(3)) ticket.client_id = find.integer(3);
  if (!find.is_null(4)) {
    const auto addresses = read_addresses(find, 4);
    if (!addresses) return std::unexpected(addresses.error());
    ticket.addresses = *addresses;
  }
  return ticket;
}

StorageResult<std::vector<Peer>> SqliteLookup::list_peers(const PeerPage& page) {
  std::vector<Peer> peers;
  Query select(statements_[Sql::select_peers]);
  select.bind(page.after).bind(page.limit);
  while (true) {
    const auto row = select.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return peers;
    auto peer = read_peer(select);
    if (!peer) return std::unexpected(std::move(peer.error()));
    peers.push_back(*peer);
  }
}

StorageResult<std::optional<Peer>> SqliteLookup::find_peer(const crypto::X25519Public& key) {
  Query select(statements_[Sql::select_peer]);
  select.bind(key.bytes);
  const auto row = select.next();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  auto peer = read_peer(select);
  if (!peer) return std::unexpected(std::move(peer.error()));
  return *peer;
}

StorageResult<std::vector<crypto::X25519Public>> SqliteLookup::list_removals() {
  std::vector<crypto::X25519Public> keys;
  Query select(statements_[Sql::select_removals]);
  while (true) {
    const auto row = select.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return keys;
    const auto key = key_column(select, 0);
    if (!key) return std::unexpected(key.error());
    keys.push_back({*key});
  }
}

}  // namespace lp::gateway::storage
