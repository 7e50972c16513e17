#include "gateway/storage/postgres_lookup.h"

#include <array>
#include <string_view>

#include "gateway/storage/postgres_rows.h"
#include "gateway/storage/statements.h"

namespace lp::gateway::storage {
namespace {

// Both of peers give the columns that read_peer takes.
constexpr std::array<PreparedStatement, 4> lookup_statements{{
    // By the owner and not by client_id: a client removed since and registered anew is the one that
    // a repeated request asks for.
    // nullifier, this instance
    {"find_spent",
     "SELECT s.mode, s.owner, s.amount, coalesce(p.id, m.id), p.private_ipv4, p.private_ipv6,"
     " i.name, i.wireguard_public_key, i.announced_host, i.announced_port"
     " FROM spent_credentials AS s"
     " LEFT JOIN wireguard_peers AS p ON s.mode = 'dvpn' AND p.public_key = s.owner"
     " LEFT JOIN mixnet_clients AS m ON s.mode = 'mixnet' AND m.client_key = s.owner"
     " LEFT JOIN instances AS i ON i.name = p.instance AND i.name <> $2"
     " WHERE s.nullifier = $1"},
    // this instance, id above which rows are wanted, how many or NULL
    {"list_peers",
     "SELECT p.id, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type,"
     " b.available, b.used, b.credited, p.created_at, p.last_seen, p.rx_bytes, p.tx_bytes,"
     " EXISTS (SELECT 1 FROM wireguard_removals AS r"
     "  WHERE r.instance = p.instance AND r.public_key = p.public_key)"
     " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
     " WHERE p.instance = $1 AND p.id > $2 ORDER BY p.id LIMIT $3"},
    // this instance, public_key
    {"find_peer",
     "SELECT p.id, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type,"
     " b.available, b.used, b.credited, p.created_at, p.last_seen, p.rx_bytes, p.tx_bytes,"
     " EXISTS (SELECT 1 FROM wireguard_removals AS r"
     "  WHERE r.instance = p.instance AND r.public_key = p.public_key)"
     " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
     " WHERE p.instance = $1 AND p.public_key = $2"},
    // this instance
    {"list_removals",
     "SELECT public_key FROM wireguard_removals WHERE instance = $1 ORDER BY since, public_key"},
}};

StorageStatus set_up_lookups(postgres::Connection& connection) {
  if (auto done = prepare_all(connection, lookup_statements); !done) return done;
  return connection.execute("SET default_transaction_read_only = on");
}

StorageResult<Peer> read_peer(const postgres::Rows& rows, std::size_t row) {
  const auto key = read_key(rows, row, 1);
  if (!key) return std::unexpected(key.error());
  const auto addresses = read_addresses(rows, row, 2);
  if (!addresses) return std::unexpected(addresses.error());
  const auto ticket_type = messages::ticket_type_from_name(rows.text(row, 4));
  if (!*addresses || !ticket_type) {
    return std::unexpected(damaged("a peer without addresses or ticket type"));
  }
  Peer peer{.client_id = rows.integer(row, 0),
            .public_key = {*key},
            .addresses = **addresses,
            .ticket_type = *ticket_type,
            .available = rows.integer(row, 5),
            .used = rows.integer(row, 6),
            .credited = rows.integer(row, 7),
            .created_at = static_cast<UnixSeconds>(rows.integer(row, 8)),
            .last_seen = std::nullopt,
            .counters = {.rx = rows.integer(row, 10), .tx = rows.integer(row, 11)},
            .removal_noted = rows.boolean(row, 12)};
  if (!rows.is_null(row, 9)) peer.last_seen = static_cast<UnixSeconds>(rows.integer(row, 9));
  return peer;
}

}  // namespace

PostgresLookup::PostgresLookup(const postgres::Url& url, const PostgresOptions& options)
    : instance_(options.instance.name), session_(url, options.statement_timeout, set_up_lookups) {}

StorageResult<std::unique_ptr<Lookup>> PostgresLookup::open(const postgres::Url& url,
                                                            const PostgresOptions& options) {
  std::unique_ptr<PostgresLookup> lookup(new PostgresLookup(url, options));
  if (auto done = lookup->session_.connect(); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return lookup;
}

StorageResult<postgres::Rows> PostgresLookup::run(const char* name,
                                                  const postgres::Params& params) {
  constexpr int most_attempts = 3;
  for (int attempt = 1;; ++attempt) {
    if (auto ready = session_.ensure(); !ready) return std::unexpected(std::move(ready.error()));
    auto rows = session_.connection().run(name, params);
    if (rows || session_.is_open() || attempt == most_attempts) return rows;
  }
}

StorageResult<std::optional<SpentTicket>> PostgresLookup::find_spent(
    const messages::Nullifier& nullifier) {
  const auto rows = run("find_spent", postgres::Params().add(ByteView(nullifier)).add(instance_));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  SpentTicket ticket;
  ticket.owner.kind = rows->text(0, 0) == mode_word(ClientKind::wireguard) ? ClientKind::wireguard
                                                                           : ClientKind::mixnet;
  const auto key = read_key(*rows, 0, 1);
  if (!key) return std::unexpected(key.error());
  ticket.owner.key = *key;
  ticket.amount = rows->integer(0, 2);
  if (!rows->is_null(0, 3)) ticket.client_id = rows->integer(0, 3);
  auto addresses = read_addresses(*rows, 0, 4);
  if (!addresses) return std::unexpected(std::move(addresses.error()));
  ticket.addresses = *addresses;
  auto served_by = read_instance(*rows, 0, 6);
  if (!served_by) return std::unexpected(std::move(served_by.error()));
  ticket.served_by = std::move(*served_by);
  return ticket;
}

StorageResult<std::vector<Peer>> PostgresLookup::list_peers(const PeerPage& page) {
  postgres::Params params;
  params.add(instance_).add(page.after);
  if (page.limit >= 0) {
    params.add(page.limit);
  } else {
    params.add_null();
  }
  const auto rows = run("list_peers", params);
  if (!rows) return std::unexpected(rows.error());
  std::vector<Peer> peers;
  peers.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto peer = read_peer(*rows, row);
    if (!peer) return std::unexpected(std::move(peer.error()));
    peers.push_back(*peer);
  }
  return peers;
}

StorageResult<std::optional<Peer>> PostgresLookup::find_peer(const crypto::X25519Public& key) {
  const auto rows = run("find_peer", postgres::Params().add(instance_).add(ByteView(key.bytes)));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  auto peer = read_peer(*rows, 0);
  if (!peer) return std::unexpected(std::move(peer.error()));
  return *peer;
}

StorageResult<std::vector<crypto::X25519Public>> PostgresLookup::list_removals() {
  const auto rows = run("list_removals", postgres::Params().add(instance_));
  if (!rows) return std::unexpected(rows.error());
  std::vector<crypto::X25519Public> keys;
  keys.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto key = read_key(*rows, row, 0);
    if (!key) return std::unexpected(key.error());
    keys.push_back({*key});
  }
  return keys;
}

}  // namespace lp::gateway::storage
