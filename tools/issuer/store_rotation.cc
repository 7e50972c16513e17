#include <array>

#include "lib/ecash/issuer_key.h"
#include "tools/issuer/epochs.h"
#include "tools/issuer/store.h"

namespace lp::issuer {
namespace {

using sqlite::Query;

constexpr std::array types{TicketType::v1_mixnet_entry, TicketType::v1_mixnet_exit,
                           TicketType::v1_wireguard_entry, TicketType::v1_wireguard_exit};
static_assert(types.size() == messages::ticket_type_count);

sqlite::Error no_authority() {
  return {sqlite::Error::Kind::invalid, "has no authority in it; lp-issuer init makes one"};
}

bool is_over(const Epoch& epoch, const Authority& authority, UnixSeconds now) {
  return now >= epoch.expiry && now - epoch.expiry >= authority.retention;
}

}  // namespace

sqlite::Result<std::vector<Epoch>> Store::epochs() {
  std::vector<Epoch> all;
  Query query(statement(Sql::select_epochs));
  while (true) {
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return all;
    all.push_back({query.integer(0), static_cast<UnixSeconds>(query.integer(1))});
  }
}

sqlite::Result<UnixSeconds> Store::newest_expiry() {
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  return all->empty() ? 0 : all->back().expiry;
}

sqlite::Result<bool> Store::rotation_due(const Authority& authority, UnixSeconds now) {
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  std::size_t ahead = 0;
  for (const Epoch& epoch : *all) {
    if (is_over(epoch, authority, now)) return true;
    if (now < epoch.expiry) ++ahead;
  }
  return ahead < epochs_ahead;
}

sqlite::Status Store::rotate(UnixSeconds now) {
  const auto found = authority();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::unexpected(no_authority());
  const auto due = rotation_due(**found, now);
  if (!due) return std::unexpected(due.error());
  if (!*due) return {};
  return in_transaction([&] { return rotate_now(**found, now); });
}

/// Under the write lock: another process may have rotated since.
sqlite::Status Store::rotate_now(const Authority& authority, UnixSeconds now) {
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  auto remove = sqlite::Statement::prepare(connection_, "DELETE FROM epochs WHERE id = ?1");
  if (!remove) return std::unexpected(std::move(remove.error()));
  std::size_t ahead = 0;
  UnixSeconds newest = 0;
  for (const Epoch& epoch : *all) {
    newest = epoch.expiry;
    if (now < epoch.expiry) ++ahead;
    if (!is_over(epoch, authority, now)) continue;
    if (auto removed = Query(*remove).bind(epoch.id).run(); !removed) return removed;
  }
  for (; ahead < epochs_ahead; ++ahead) {
    newest = next_expiry(newest, now, authority.epoch_length);
    if (const auto made = insert_epoch(newest); !made) return std::unexpected(made.error());
  }
  return {};
}

sqlite::Result<Epoch> Store::add_epoch(UnixSeconds now) {
  return in_transaction([&]() -> sqlite::Result<Epoch> {
    const auto found = authority();
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::unexpected(no_authority());
    const auto newest = newest_expiry();
    if (!newest) return std::unexpected(newest.error());
    return insert_epoch(next_expiry(*newest, now, (*found)->epoch_length));
  });
}

sqlite::Result<Epoch> Store::insert_epoch(UnixSeconds expiry) {
  auto insert = sqlite::Statement::prepare(connection_,
                                           "INSERT INTO epochs (expiry) VALUES (?1) RETURNING id");
  if (!insert) return std::unexpected(std::move(insert.error()));
  Epoch epoch{.id = 0, .expiry = expiry};
  {
    Query query(*insert);
    query.bind(static_cast<std::int64_t>(expiry));
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    epoch.id = query.integer(0);
    if (auto done = query.run(); !done) return std::unexpected(std::move(done.error()));
  }
  for (const TicketType type : types) {
    if (auto made = insert_key(epoch.id, type); !made) return std::unexpected(made.error());
  }
  return epoch;
}

sqlite::Status Store::insert_key(EpochId epoch, TicketType type) {
  auto insert = sqlite::Statement::prepare(
      connection_,
      "INSERT INTO signing_keys (epoch_id, ticket_type, secret, public_key) "
      "VALUES (?1, ?2, ?3, ?4)");
  if (!insert) return std::unexpected(std::move(insert.error()));
  const auto key = ecash::IssuerKey::generate();
  const auto secret = key.secret();
  const auto public_key = key.public_key().encode();
  return Query(*insert)
      .bind(epoch)
      .bind(messages::name(type))
      .bind(ByteView(secret.bytes()))
      .bind(ByteView(public_key))
      .run();
}

}  // namespace lp::issuer
