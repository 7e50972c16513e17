#include "tools/issuer/store.h"

#include <array>
#include <string_view>

#include "tools/issuer/schema.h"

namespace lp::issuer {
namespace {

using sqlite::Query;

// In the order of Store::Sql.
constexpr std::array<std::string_view, 12> texts{
    // hash
    "SELECT id FROM tokens WHERE hash = ?1 AND revoked_at IS NULL",
    // id
    "SELECT 1 FROM tokens WHERE id = ?1 AND revoked_at IS NULL",
    // id
    "SELECT expiry FROM epochs WHERE id = ?1",
    // token, epoch, type, point
    "SELECT 1 FROM withdrawals WHERE token_id = ?1 AND epoch_id = ?2 AND ticket_type = ?3 "
    "AND point = ?4",
    // token, epoch, type, point
    "INSERT INTO withdrawals (token_id, epoch_id, ticket_type, point) VALUES (?1, ?2, ?3, ?4)",
    // id: what is left in total, and whether types have allowances of their own
    "SELECT allowed - used, EXISTS (SELECT 1 FROM allowances WHERE token_id = id) "
    "FROM tokens WHERE id = ?1",
    // token, type: what is left
    "SELECT allowed - used FROM allowances WHERE token_id = ?1 AND ticket_type = ?2",
    // count, id
    "UPDATE tokens SET used = used + ?1 WHERE id = ?2",
    // count, token, type
    "UPDATE allowances SET used = used + ?1 WHERE token_id = ?2 AND ticket_type = ?3",
    "SELECT e.id, e.expiry, k.ticket_type, k.public_key FROM epochs e "
    "JOIN signing_keys k ON k.epoch_id = e.id ORDER BY e.expiry, k.ticket_type",
    // epoch, type
    "SELECT secret FROM signing_keys WHERE epoch_id = ?1 AND ticket_type = ?2",
    "SELECT id, expiry, expired_since FROM epochs ORDER BY expiry",
};

/// A time or a count: what was written from a u64 that fits.
std::uint64_t as_unsigned(std::int64_t value) noexcept {
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

}  // namespace

sqlite::Result<Store> Store::open(const std::filesystem::path& path) {
  auto connection = sqlite::open_database(path, schema());
  if (!connection) return std::unexpected(std::move(connection.error()));
  // Deleted signing keys are overwritten.
  if (auto set = connection->execute("PRAGMA secure_delete = ON"); !set) {
    return std::unexpected(std::move(set.error()));
  }
  Store store(*std::move(connection));
  if (auto prepared = store.prepare(); !prepared) {
    return std::unexpected(std::move(prepared.error()));
  }
  return store;
}

sqlite::Status Store::prepare() {
  static_assert(texts.size() == sql_count);
  for (std::size_t i = 0; i < sql_count; ++i) {
    auto prepared = sqlite::Statement::prepare(connection_, texts[i]);
    if (!prepared) return std::unexpected(std::move(prepared.error()));
    statements_[i] = *std::move(prepared);
  }
  return {};
}

sqlite::Result<std::optional<Authority>> Store::authority() {
  auto select = sqlite::Statement::prepare(
      connection_, "SELECT contract, epoch_length, retention FROM authority");
  if (!select) return std::unexpected(std::move(select.error()));
  Query query(*select);
  const auto row = query.next();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  return Authority{.contract = std::string(query.text(0)),
                   .epoch_length = as_unsigned(query.integer(1)),
                   .retention = as_unsigned(query.integer(2))};
}

sqlite::Status Store::set_authority(const Authority& authority) {
  auto insert = sqlite::Statement::prepare(
      connection_,
      "INSERT INTO authority (id, contract, epoch_length, retention) VALUES (1, ?1, ?2, ?3)");
  if (!insert) return std::unexpected(std::move(insert.error()));
  return Query(*insert)
      .bind(std::string_view(authority.contract))
      .bind(static_cast<std::int64_t>(authority.epoch_length))
      .bind(static_cast<std::int64_t>(authority.retention))
      .run();
}

sqlite::Result<std::vector<PublicKeyRow>> Store::public_keys() {
  std::vector<PublicKeyRow> keys;
  Query query(statement(Sql::select_keys));
  while (true) {
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return keys;
    const auto type = messages::ticket_type_from_name(query.text(2));
    const ByteView bytes = query.blob(3);
    PublicKeyRow key{.epoch = {query.integer(0), as_unsigned(query.integer(1))}};
    if (!type || bytes.size() != key.public_key.size()) {
      return sqlite::fail(sqlite::Error::Kind::corrupt, "holds a key that is none");
    }
    key.type = *type;
    key.public_key = to_array<96>(bytes);
    keys.push_back(key);
  }
}

sqlite::Result<std::optional<Secret<32>>> Store::signing_key(EpochId epoch, TicketType type) {
  Query query(statement(Sql::select_secret));
  query.bind(epoch).bind(messages::name(type));
  const auto row = query.next();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  const ByteView bytes = query.blob(0);
  if (bytes.size() != 32) {
    return sqlite::fail(sqlite::Error::Kind::corrupt, "holds a key that is none");
  }
  return Secret<32>(bytes.first<32>());
}

}  // namespace lp::issuer
