#include "tools/issuer/schema.h"

#include <array>

namespace lp::issuer {
namespace {

// Migration n leads from version n to n + 1. A released one never changes.
//
// `allowed` and `used` stand side by side under a CHECK, so that no way of writing the file can
// give out more than was allowed. A withdrawal has no time: when a point was signed is nobody's
// business after the answer.
constexpr std::array<const char*, 2> migrations{R"sql(
CREATE TABLE authority (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  contract TEXT NOT NULL,
  epoch_length INTEGER NOT NULL CHECK (epoch_length > 0),
  retention INTEGER NOT NULL CHECK (retention >= 0)
) STRICT;

CREATE TABLE epochs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  expiry INTEGER NOT NULL UNIQUE CHECK (expiry > 0)
) STRICT;

CREATE TABLE signing_keys (
  epoch_id INTEGER NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
  ticket_type TEXT NOT NULL,
  secret BLOB NOT NULL CHECK (length(secret) = 32),
  public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 96),
  PRIMARY KEY (epoch_id, ticket_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  label TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER,
  allowed INTEGER CHECK (allowed >= 0),
  used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0 AND (allowed IS NULL OR used <= allowed))
) STRICT;

CREATE TABLE allowances (
  token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  ticket_type TEXT NOT NULL,
  allowed INTEGER NOT NULL CHECK (allowed >= 0),
  used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0 AND used <= allowed),
  PRIMARY KEY (token_id, ticket_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE withdrawals (
  token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  epoch_id INTEGER NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
  ticket_type TEXT NOT NULL,
  point BLOB NOT NULL CHECK (length(point) = 48),
  PRIMARY KEY (token_id, epoch_id, ticket_type, point)
) STRICT, WITHOUT ROWID;
CREATE INDEX withdrawals_epoch ON withdrawals (epoch_id);
)sql",
                                                R"sql(
ALTER TABLE epochs ADD COLUMN expired_since INTEGER;
)sql"};

}  // namespace

const sqlite::Schema& schema() noexcept {
  static constexpr sqlite::Schema instance{application_id, "lp-issuer", migrations};
  return instance;
}

}  // namespace lp::issuer
