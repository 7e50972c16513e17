#include "gateway/storage/schema.h"

#include <fmt/core.h>

#include <array>

namespace lp::gateway::storage {
namespace {

// Migration n leads from version n to n + 1. A released one never changes.
constexpr std::array<const char*, 1> migrations{R"sql(
CREATE TABLE clients (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('wireguard', 'mixnet'))
) STRICT;

CREATE TABLE wireguard_peers (
  id INTEGER PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
  public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
  ticket_type TEXT NOT NULL,
  private_ipv4 TEXT NOT NULL UNIQUE,
  private_ipv6 TEXT NOT NULL UNIQUE,
  rx_bytes INTEGER NOT NULL DEFAULT 0,
  tx_bytes INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  last_seen INTEGER
) STRICT;

CREATE TABLE mixnet_clients (
  id INTEGER PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
  client_key BLOB NOT NULL UNIQUE CHECK (length(client_key) = 32),
  ticket_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen INTEGER
) STRICT;

CREATE TABLE bandwidth (
  client_id INTEGER PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
  available INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
  credited INTEGER NOT NULL CHECK (credited >= 0),
  updated_at INTEGER NOT NULL,
  CHECK (available = credited - used)
) STRICT;

CREATE TABLE spent_credentials (
  nullifier BLOB NOT NULL PRIMARY KEY CHECK (length(nullifier) = 32),
  expiry INTEGER NOT NULL,
  spent_at INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  mode TEXT NOT NULL CHECK (mode IN ('dvpn', 'mixnet')),
  owner BLOB NOT NULL CHECK (length(owner) = 32),
  client_id INTEGER REFERENCES clients (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX spent_credentials_expiry ON spent_credentials (expiry);
CREATE INDEX spent_credentials_client ON spent_credentials (client_id)
  WHERE client_id IS NOT NULL;

CREATE TABLE lp_sessions (
  id INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL,
  lp_id INTEGER NOT NULL,
  client_ip TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  completed_at INTEGER,
  status TEXT NOT NULL,
  client_id INTEGER REFERENCES clients (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX lp_sessions_started ON lp_sessions (started_at);
CREATE INDEX lp_sessions_open ON lp_sessions (lp_id) WHERE completed_at IS NULL;
CREATE INDEX lp_sessions_client ON lp_sessions (client_id) WHERE client_id IS NOT NULL;

CREATE TABLE wireguard_removals (
  public_key BLOB NOT NULL PRIMARY KEY CHECK (length(public_key) = 32),
  since INTEGER NOT NULL
) STRICT;

-- id gives the order of release, which a clock that jumps would not.
CREATE TABLE released_addresses (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  address TEXT NOT NULL UNIQUE,
  released_at INTEGER NOT NULL
) STRICT;

-- Whoever writes or deletes a peer, the gateway, lp-db-maint or a person, cannot forget what goes
-- with it: a new peer's key is no longer to be removed and its addresses are no longer free; a
-- deleted one must leave WireGuard and its addresses are free again.
CREATE TRIGGER wireguard_peers_inserted AFTER INSERT ON wireguard_peers BEGIN
  DELETE FROM wireguard_removals WHERE public_key = NEW.public_key;
  DELETE FROM released_addresses WHERE address IN (NEW.private_ipv4, NEW.private_ipv6);
END;
CREATE TRIGGER wireguard_peers_deleted AFTER DELETE ON wireguard_peers BEGIN
  INSERT INTO wireguard_removals (public_key, since) VALUES (OLD.public_key, unixepoch())
    ON CONFLICT (public_key) DO NOTHING;
  INSERT INTO released_addresses (address, released_at)
    VALUES (OLD.private_ipv4, unixepoch()), (OLD.private_ipv6, unixepoch())
    ON CONFLICT (address) DO NOTHING;
END;
)sql"};

}  // namespace

const sqlite::Schema& schema() noexcept {
  static constexpr sqlite::Schema instance{application_id, "lp-gateway", migrations,
                                           retired_application_id};
  return instance;
}

std::int64_t newest_schema_version() noexcept {
  return schema().newest_version();
}

StorageStatus rewrite_schema_version(Connection& connection) {
  return connection.execute(
      fmt::format("PRAGMA user_version = {}", newest_schema_version()).c_str());
}

}  // namespace lp::gateway::storage
