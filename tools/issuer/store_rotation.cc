#include <algorithm>
#include <array>
#include <optional>
#include <vector>

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

/// The mark that an epoch should have. One from a time that has not come was made by a clock that
/// was ahead, and tells nothing.
std::optional<UnixSeconds> expired_since(const Epoch& epoch, UnixSeconds now) {
  if (now < epoch.expiry) return std::nullopt;
  return std::min(epoch.expired_since.value_or(now), now);
}

/// Its own expiry does not decide: a clock that is years ahead for a minute would otherwise delete
/// every key there is, and with it the tickets that were withdrawn.
bool is_over(const Epoch& epoch, const Authority& authority, UnixSeconds now) {
  const auto since = expired_since(epoch, now);
  return since && now - *since >= authority.retention;
}

bool has_expiry(const std::vector<Epoch>& epochs, UnixSeconds expiry) {
  return std::ranges::find(epochs, expiry, &Epoch::expiry) != epochs.end();
}

bool rotation_due(const std::vector<Epoch>& epochs, const Authority& authority, UnixSeconds now) {
  for (std::size_t n = 0; n < epochs_ahead; ++n) {
    if (!has_expiry(epochs, expiry_after(now, authority.epoch_length, n))) return true;
  }
  return std::ranges::any_of(epochs, [&](const Epoch& epoch) {
    return is_over(epoch, authority, now) || expired_since(epoch, now) != epoch.expired_since;
  });
}

UnixSeconds first_free_expiry(const std::vector<Epoch>& epochs, const Authority& authority,
                              UnixSeconds now) {
  std::size_t n = 0;
  while (has_expiry(epochs, expiry_after(now, authority.epoch_length, n)))
    ++n;
  return expiry_after(now, authority.epoch_length, n);
}

}  // namespace

sqlite::Result<std::vector<Epoch>> Store::epochs() {
  std::vector<Epoch> all;
  Query query(statement(Sql::select_epochs));
  while (true) {
    const auto row = query.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return all;
    Epoch epoch{.id = query.integer(0), .expiry = static_cast<UnixSeconds>(query.integer(1))};
    if (!query.is_null(2)) epoch.expired_since = static_cast<UnixSeconds>(query.integer(2));
    all.push_back(epoch);
  }
}

sqlite::Result<UnixSeconds> Store::next_expiry(UnixSeconds now) {
  const auto found = authority();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::unexpected(no_authority());
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  return first_free_expiry(*all, **found, now);
}

sqlite::Status Store::rotate(UnixSeconds now) {
  const auto found = authority();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::unexpected(no_authority());
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  if (!rotation_due(*all, **found, now)) return {};
  return in_transaction([&] { return rotate_now(**found, now); });
}

/// Under the write lock: another process may have rotated since.
sqlite::Status Store::rotate_now(const Authority& authority, UnixSeconds now) {
  const auto all = epochs();
  if (!all) return std::unexpected(all.error());
  for (const Epoch& epoch : *all) {
    const auto done =
        is_over(epoch, authority, now) ? remove(epoch) : mark(epoch, expired_since(epoch, now));
    if (!done) return done;
  }
  for (std::size_t n = 0; n < epochs_ahead; ++n) {
    const UnixSeconds expiry = expiry_after(now, authority.epoch_length, n);
    if (has_expiry(*all, expiry)) continue;
    if (const auto made = insert_epoch(expiry); !made) return std::unexpected(made.error());
  }
  return {};
}

sqlite::Status Store::remove(const Epoch& epoch) {
  auto remove = sqlite::Statement::prepare(connection_, "DELETE FROM epochs WHERE id = ?1");
  if (!remove) return std::unexpected(std::move(remove.error()));
  return Query(*remove).bind(epoch.id).run();
}

sqlite::Status Store::mark(const Epoch& epoch, std::optional<UnixSeconds> expired_since) {
  if (epoch.expired_since == expired_since) return {};
  auto update =
      sqlite::Statement::prepare(connection_, "UPDATE epochs SET expired_since = ?1 WHERE id = ?2");
  if (!update) return std::unexpected(std::move(update.error()));
  Query query(*update);
  if (expired_since) {
    query.bind(static_cast<std::int64_t>(*expired_since));
  } else {
    query.bind_null();
  }
  return query.bind(epoch.id).run();
}

sqlite::Result<Epoch> Store::add_epoch(UnixSeconds now) {
  return in_transaction([&]() -> sqlite::Result<Epoch> {
    const auto expiry = next_expiry(now);
    if (!expiry) return std::unexpected(expiry.error());
    return insert_epoch(*expiry);
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
