#include "tools/issuer/store.h"

namespace lp::issuer {
namespace {

using sqlite::Query;

/// Adds what `tokens` has not read yet of one token: its allowances for types.
sqlite::Status read_types(sqlite::Statement& select, TokenRow& token) {
  Query query(select);
  query.bind(token.id);
  while (true) {
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    const auto type = messages::ticket_type_from_name(query.text(0));
    if (type) token.types[*type] = {query.integer(1), query.integer(2)};
  }
}

}  // namespace

sqlite::Result<TokenId> Store::add_token(const crypto::Sha256Digest& hash, const std::string& label,
                                         const Allowances& allowances, UnixSeconds now) {
  auto token = sqlite::Statement::prepare(connection_,
                                          "INSERT INTO tokens (hash, label, created_at, allowed) "
                                          "VALUES (?1, ?2, ?3, ?4) RETURNING id");
  if (!token) return std::unexpected(std::move(token.error()));
  auto allowance = sqlite::Statement::prepare(
      connection_, "INSERT INTO allowances (token_id, ticket_type, allowed) VALUES (?1, ?2, ?3)");
  if (!allowance) return std::unexpected(std::move(allowance.error()));
  return in_transaction([&]() -> sqlite::Result<TokenId> {
    TokenId id = 0;
    {
      Query query(*token);
      query.bind(ByteView(hash)).bind(std::string_view(label));
      query.bind(static_cast<std::int64_t>(now));
      if (allowances.total) {
        query.bind(*allowances.total);
      } else {
        query.bind_null();
      }
      const auto row = query.next();
      if (!row) return std::unexpected(row.error());
      id = query.integer(0);
      if (auto done = query.run(); !done) return std::unexpected(std::move(done.error()));
    }
    for (const auto& [type, allowed] : allowances.types) {
      auto done = Query(*allowance).bind(id).bind(messages::name(type)).bind(allowed).run();
      if (!done) return std::unexpected(std::move(done.error()));
    }
    return id;
  });
}

sqlite::Result<std::optional<TokenId>> Store::find_token(const crypto::Sha256Digest& hash) {
  Query query(statement(Sql::select_token));
  query.bind(ByteView(hash));
  const auto row = query.next();
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  return query.integer(0);
}

sqlite::Result<std::vector<TokenRow>> Store::tokens() {
  auto select = sqlite::Statement::prepare(
      connection_,
      "SELECT id, label, created_at, revoked_at, allowed, used FROM tokens ORDER BY id");
  if (!select) return std::unexpected(std::move(select.error()));
  auto types = sqlite::Statement::prepare(
      connection_, "SELECT ticket_type, allowed, used FROM allowances WHERE token_id = ?1");
  if (!types) return std::unexpected(std::move(types.error()));
  std::vector<TokenRow> all;
  Query query(*select);
  while (true) {
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return all;
    TokenRow token{.id = query.integer(0),
                   .label = std::string(query.text(1)),
                   .created_at = static_cast<UnixSeconds>(query.integer(2)),
                   .revoked_at = std::nullopt,
                   .allowed = std::nullopt,
                   .used = query.integer(5),
                   .types = {}};
    if (!query.is_null(3)) token.revoked_at = static_cast<UnixSeconds>(query.integer(3));
    if (!query.is_null(4)) token.allowed = query.integer(4);
    if (auto read = read_types(*types, token); !read) return std::unexpected(read.error());
    all.push_back(std::move(token));
  }
}

sqlite::Result<bool> Store::revoke_token(TokenId id, UnixSeconds now) {
  auto update = sqlite::Statement::prepare(
      connection_, "UPDATE tokens SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL");
  if (!update) return std::unexpected(std::move(update.error()));
  Query query(*update);
  if (auto done = query.bind(static_cast<std::int64_t>(now)).bind(id).run(); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return query.changed() > 0;
}

}  // namespace lp::issuer
