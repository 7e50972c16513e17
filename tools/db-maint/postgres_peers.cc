// Stale peers of the instances that share a database.
#include <fmt/format.h>

#include "gateway/storage/postgres_schema.h"
#include "tools/db-maint/postgres_store.h"

namespace lp::db_maint {
namespace {

using postgres::Params;

/// Of peer p; $2 is the time before which it was last seen. A ticket is a sign of life as well:
/// whoever has paid a minute ago has not been through the tunnel yet.
constexpr std::string_view is_stale_peer =
    "greatest(p.created_at, p.last_seen,"
    " (SELECT max(s.spent_at) FROM spent_credentials AS s WHERE s.client_id = p.id)) < $2";
/// Of peer p: its removal was noted, and no longer is.
constexpr std::string_view is_confirmed_peer =
    "NOT EXISTS (SELECT 1 FROM wireguard_removals AS r"
    "  WHERE r.instance = p.instance AND r.public_key = p.public_key)"
    " AND EXISTS (SELECT 1 FROM bandwidth AS b WHERE b.client_id = p.id AND b.available <= 0)";

// least id, before
std::string select_stale_peers() {
  return fmt::format(
      "SELECT p.id, p.instance, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type,"
      " p.created_at, p.last_seen, (SELECT max(s.spent_at) FROM spent_credentials AS s"
      "  WHERE s.client_id = p.id), b.available, b.used"
      " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
      " WHERE p.id >= $1 AND {} ORDER BY p.id",
      is_stale_peer);
}

// These two in one transaction. A client that comes back with a ticket has bandwidth again, and its
// removal is no longer noted.
// ids, before
std::string take_bandwidths() {
  return fmt::format(
      "UPDATE bandwidth AS w SET used = w.credited, available = 0 WHERE w.client_id = ANY ($1)"
      " AND w.available > 0"
      " AND EXISTS (SELECT 1 FROM wireguard_peers AS p WHERE p.id = w.client_id AND {})",
      is_stale_peer);
}
// ids, before, since
std::string note_removals() {
  return fmt::format(
      "INSERT INTO wireguard_removals (instance, public_key, since)"
      " SELECT p.instance, p.public_key, $3 FROM wireguard_peers AS p"
      " WHERE p.id = ANY ($1) AND {} ORDER BY p.instance, p.public_key"
      " ON CONFLICT (instance, public_key) DO NOTHING",
      is_stale_peer);
}

// The schema takes bandwidth and addresses along and notes the removal once more.
// ids, before
std::string delete_clients(Store::Removable removable) {
  return fmt::format(
      "DELETE FROM clients WHERE id IN"
      " (SELECT p.id FROM wireguard_peers AS p WHERE p.id = ANY ($1) AND {} AND {})",
      is_stale_peer, removable == Store::Removable::confirmed ? is_confirmed_peer : "true");
}

std::optional<UnixSeconds> time_of(const postgres::Rows& rows, std::size_t row,
                                   std::size_t column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return static_cast<UnixSeconds>(rows.integer(row, column));
}

}  // namespace

Result<std::vector<StalePeer>> PostgresStore::stale_peers(UnixSeconds before) {
  const auto rows = connection_->query(
      select_stale_peers(), Params().add(std::int64_t{0}).add(static_cast<std::int64_t>(before)));
  if (!rows) return std::unexpected(rows.error());
  std::vector<StalePeer> peers(rows->size());
  for (std::size_t row = 0; row < peers.size(); ++row) {
    const auto key = rows->bytes(row, 2);
    if (key.size() != 32) {
      return postgres::fail(postgres::Error::Kind::corrupt, "a key that has not 32 bytes");
    }
    StalePeer& peer = peers[row];
    peer.client_id = rows->integer(row, 0);
    peer.instance = rows->text(row, 1);
    peer.public_key = to_array<32>(key);
    peer.private_ipv4 = rows->text(row, 3);
    peer.private_ipv6 = rows->text(row, 4);
    peer.ticket_type = rows->text(row, 5);
    peer.created_at = static_cast<UnixSeconds>(rows->integer(row, 6));
    peer.last_seen = time_of(*rows, row, 7);
    peer.last_ticket = time_of(*rows, row, 8);
    peer.available = rows->integer(row, 9);
    peer.used = rows->integer(row, 10);
  }
  return peers;
}

// In the order of the ids, as the gateways lock. Who takes a ticket for one of them waits, and what
// was taken before is seen by the statements that follow.
Status PostgresStore::lock_clients(std::span<const std::int64_t> ids) {
  const auto locked = connection_->query(
      "SELECT id FROM clients WHERE id = ANY ($1) ORDER BY id FOR UPDATE", Params().add_array(ids));
  if (!locked) return std::unexpected(locked.error());
  return {};
}

Result<Batch> PostgresStore::retire_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                          UnixSeconds now) {
  const auto cutoff = static_cast<std::int64_t>(before);
  return write([&]() -> Result<std::int64_t> {
    if (auto locked = lock_clients(ids); !locked) return std::unexpected(locked.error());
    const auto taken = connection_->query(take_bandwidths(), Params().add_array(ids).add(cutoff));
    if (!taken) return std::unexpected(taken.error());
    const auto noted = connection_->query(
        note_removals(), Params().add_array(ids).add(cutoff).add(static_cast<std::int64_t>(now)));
    if (!noted) return std::unexpected(noted.error());
    return noted->changed();
  });
}

Result<std::vector<std::int64_t>> PostgresStore::unconfirmed_peers(
    std::span<const std::int64_t> ids) {
  const auto rows = connection_->query(
      "SELECT p.id FROM wireguard_peers AS p JOIN wireguard_removals AS r"
      " ON r.instance = p.instance AND r.public_key = p.public_key"
      " WHERE p.id = ANY ($1) ORDER BY p.id",
      Params().add_array(ids));
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::int64_t> unconfirmed(rows->size());
  for (std::size_t row = 0; row < unconfirmed.size(); ++row)
    unconfirmed[row] = rows->integer(row, 0);
  return unconfirmed;
}

Result<Batch> PostgresStore::remove_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                          Removable removable) {
  return write([&]() -> Result<std::int64_t> {
    if (auto locked = lock_clients(ids); !locked) return std::unexpected(locked.error());
    const auto deleted = connection_->query(
        delete_clients(removable), Params().add_array(ids).add(static_cast<std::int64_t>(before)));
    if (!deleted) return std::unexpected(deleted.error());
    return deleted->changed();
  });
}

Result<std::vector<std::string>> PostgresStore::instances() {
  const auto rows = connection_->query("SELECT name FROM instances ORDER BY name");
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::string> names;
  names.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row)
    names.emplace_back(rows->text(row, 0));
  return names;
}

// A gateway holds the lock on its instance's name as long as it runs.
Result<bool> PostgresStore::take_exclusively(const std::string& instance) {
  std::vector<std::string> wanted{instance};
  if (instance.empty()) {
    auto all = instances();
    if (!all) return std::unexpected(std::move(all.error()));
    wanted = *std::move(all);
  }
  for (auto& name : wanted) {
    const auto locked = gateway::storage::try_lock_instance(*connection_, name);
    if (!locked) return std::unexpected(locked.error());
    if (!*locked) {
      if (auto released = release(); !released) return std::unexpected(released.error());
      return false;
    }
    taken_.push_back(std::move(name));
  }
  return true;
}

Status PostgresStore::release() {
  for (const auto& name : taken_)
    gateway::storage::unlock_instance(*connection_, name);
  taken_.clear();
  return {};
}

}  // namespace lp::db_maint
