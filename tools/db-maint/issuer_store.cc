#include "tools/db-maint/issuer_store.h"

#include <fmt/format.h>

#include <array>

namespace lp::db_maint {
namespace {

constexpr std::array issuer_tables{Dated::withdrawals};

std::unexpected<sqlite::Error> no_peers() {
  return sqlite::fail(sqlite::Error::Kind::invalid, "is an issuer's and has no peers");
}

}  // namespace

std::span<const Dated> IssuerStore::dated() const {
  return issuer_tables;
}

// A withdrawal has no time of its own. Nothing is signed for an expired epoch, so that its points
// are of no more use to anybody.
std::string_view IssuerStore::older_than(Dated /*dated*/) const {
  return "epoch_id IN (SELECT id FROM epochs WHERE expiry < ?1)";
}

std::string_view IssuerStore::row_name(Dated /*dated*/) const {
  return "token_id, epoch_id, ticket_type, point";
}

// An issuer that runs always has an epoch ahead.
Result<std::optional<UnixSeconds>> IssuerStore::newest_activity() {
  std::optional<UnixSeconds> newest;
  auto done = each_row("SELECT max(expiry) FROM epochs", {}, [&](const sqlite::Query& row) {
    if (!row.is_null(0)) newest = static_cast<UnixSeconds>(row.integer(0));
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return newest;
}

Result<std::vector<StalePeer>> IssuerStore::stale_peers(UnixSeconds /*before*/) {
  return no_peers();
}

Result<Batch> IssuerStore::retire_peers(std::span<const std::int64_t> /*ids*/,
                                        UnixSeconds /*before*/, UnixSeconds /*now*/) {
  return no_peers();
}

Result<std::vector<std::int64_t>> IssuerStore::unconfirmed_peers(
    std::span<const std::int64_t> /*ids*/) {
  return no_peers();
}

Result<Batch> IssuerStore::remove_peers(std::span<const std::int64_t> /*ids*/,
                                        UnixSeconds /*before*/, Removable /*removable*/) {
  return no_peers();
}

Result<Table> IssuerStore::report(std::int64_t /*limit*/) {
  return no_peers();
}

std::span<const SqliteStore::Count> IssuerStore::counts() const {
  static constexpr std::array all{
      Count{"tokens", "SELECT count(*) FROM tokens"},
      Count{"tokens_revoked", "SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL"},
      Count{"tickets_used", "SELECT coalesce(sum(used), 0) FROM tokens"},
      Count{"epochs", "SELECT count(*) FROM epochs"},
      Count{"epochs_expired", "SELECT count(*) FROM epochs WHERE expiry <= ?1"},
      Count{"newest_expiry", "SELECT max(expiry) FROM epochs", true},
      Count{"withdrawals", "SELECT count(*) FROM withdrawals"},
      Count{"withdrawals_expired",
            "SELECT count(*) FROM withdrawals"
            " WHERE epoch_id IN (SELECT id FROM epochs WHERE expiry <= ?1)"},
  };
  return all;
}

Result<std::vector<Finding>> IssuerStore::broken_invariants(UnixSeconds /*now*/,
                                                            std::uint64_t /*retention*/) {
  std::vector<Finding> findings;
  const auto find = [&](std::string_view check, std::string_view sql) {
    return each_row(sql, {}, [&](const sqlite::Query& row) {
      findings.push_back({std::string(check), std::string(row.text(0))});
    });
  };
  auto done = find("withdrawals_were_charged",
                   "SELECT format('token %d: %d tickets used, %d points signed', t.id, t.used,"
                   " w.points) FROM tokens AS t"
                   " JOIN (SELECT token_id, count(*) AS points FROM withdrawals GROUP BY token_id)"
                   " AS w ON w.token_id = t.id WHERE w.points > t.used LIMIT 100");
  if (done) {
    done = find("allowance_is_kept",
                "SELECT format('token %d: %d tickets used, %d allowed', id, used, allowed)"
                " FROM tokens WHERE used > allowed LIMIT 100");
  }
  if (done) {
    done = find("epoch_has_keys",
                "SELECT format('epoch %d has %d keys, not 4', e.id, count(k.epoch_id))"
                " FROM epochs AS e LEFT JOIN signing_keys AS k ON k.epoch_id = e.id"
                " GROUP BY e.id HAVING count(k.epoch_id) <> 4 LIMIT 100");
  }
  if (!done) return std::unexpected(std::move(done.error()));
  return findings;
}

}  // namespace lp::db_maint
