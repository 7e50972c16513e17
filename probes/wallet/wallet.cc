#include "probes/wallet/wallet.h"

#include <fmt/format.h>

#include <limits>
#include <utility>
#include <variant>

#include "probes/wallet/wallet_file.h"

namespace lp::probe::wallet {
namespace {

constexpr std::string_view columns =
    "id, state, gateway, ticket_type, epoch_id, bandwidth_amount, expiry, nullifier, signature, "
    "wireguard_secret, client_id, sends, reason, created, changed";

UnixSeconds current_time() {
  return SystemWallClock().now();
}

const messages::ClientId* client_id(const Registrant& registrant) {
  const auto* mixnet = std::get_if<messages::Mixnet>(&registrant.mode);
  return mixnet == nullptr ? nullptr : &mixnet->client_id;
}

bool same(const Registrant& a, const Registrant& b) {
  return a.wireguard.public_key == b.wireguard.public_key && a.mode == b.mode &&
         a.ticket_type == b.ticket_type;
}

/// The row as a message; nothing where it makes no sense.
std::optional<ecash::TicketMessage> read_message(const Statement& row, int gateway, int type,
                                                 int amount, int expiry, int nullifier) {
  const auto index = row.integer(type);
  if (row.blob(gateway).size() != 32 || row.blob(nullifier).size() != 32 || index < 0 ||
      index >= messages::ticket_type_count || row.integer(amount) < 0 || row.integer(expiry) < 0) {
    return std::nullopt;
  }
  return ecash::TicketMessage{.gateway = {to_array<32>(row.blob(gateway))},
                              .nullifier = to_array<32>(row.blob(nullifier)),
                              .bandwidth_amount = static_cast<std::uint64_t>(row.integer(amount)),
                              .expiry = static_cast<UnixSeconds>(row.integer(expiry)),
                              .type = static_cast<messages::TicketType>(index)};
}

Registrant read_registrant(ByteView wireguard_secret, ByteView client_id,
                           messages::TicketType type) {
  Registrant registrant{
      crypto::X25519KeyPair::from_secret(Secret<32>(wireguard_secret.first<32>())),
      messages::Dvpn{}, type};
  if (!client_id.empty()) registrant.mode = messages::Mixnet{to_array<32>(client_id)};
  return registrant;
}

}  // namespace

Outcome<std::unique_ptr<Wallet>> Wallet::open(const std::filesystem::path& path) {
  auto database = open_wallet_file(path);
  if (!database) return std::unexpected(std::move(database.error()));
  auto leases = Leases::open(path.string() + "-leases");
  if (!leases) return std::unexpected(std::move(leases.error()));
  return std::unique_ptr<Wallet>(new Wallet(std::move(*database), std::move(*leases)));
}

Outcome<Ticket> Wallet::read(Statement& row) const {
  const auto damaged = [&] {
    return database_.failure(ProbeCode::wallet_corrupt,
                             fmt::format("ticket {} makes no sense", row.integer(0)));
  };
  const auto state = ticket_state_from_name(row.text(1));
  const auto message = read_message(row, 2, 3, 5, 6, 7);
  if (!state || !message) return damaged();
  Ticket ticket;
  ticket.id = row.integer(0);
  ticket.state = *state;
  ticket.message = *message;
  ticket.epoch_id = static_cast<std::uint64_t>(row.integer(4));
  const auto signature = row.blob(8);
  ticket.signature.assign(signature.begin(), signature.end());
  if (!row.is_null(9)) {
    if (row.blob(9).size() != 32) return damaged();
    if (!row.is_null(10) && row.blob(10).size() != 32) return damaged();
    ticket.sent_with = read_registrant(row.blob(9), row.blob(10), message->type);
  }
  ticket.sends = static_cast<std::uint64_t>(row.integer(11));
  ticket.reason = printable(row.text(12));
  ticket.created = static_cast<UnixSeconds>(row.integer(13));
  ticket.changed = static_cast<UnixSeconds>(row.integer(14));
  return ticket;
}

Outcome<std::vector<Ticket>> Wallet::list() {
  const std::lock_guard lock(mutex_);
  auto rows = database_.prepare(fmt::format("SELECT {} FROM tickets ORDER BY id", columns));
  if (!rows) return std::unexpected(std::move(rows.error()));
  std::vector<Ticket> tickets;
  while (true) {
    auto row = rows->next();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return tickets;
    auto ticket = read(*rows);
    if (!ticket) return std::unexpected(std::move(ticket.error()));
    tickets.push_back(std::move(*ticket));
  }
}

Outcome<std::vector<HeldWithdrawal>> Wallet::request(const Wanted& wanted, const net::ChainKey& key,
                                                     std::size_t count) {
  const std::lock_guard lock(mutex_);
  std::vector<HeldWithdrawal> made;
  auto transaction = Transaction::begin(database_);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  for (std::size_t i = 0; i < count; ++i) {
    auto one = insert(wanted, key);
    if (!one) return std::unexpected(std::move(one.error()));
    made.push_back(std::move(*one));
  }
  if (auto committed = transaction->commit(); !committed) {
    return std::unexpected(std::move(committed.error()));
  }
  return made;
}

Outcome<HeldWithdrawal> Wallet::insert(const Wanted& wanted, const net::ChainKey& key) {
  auto withdrawal = ecash::Withdrawal::start(wanted.gateway, key.type, key.expiry);
  auto statement = database_.prepare(
      "INSERT INTO tickets (state, gateway, ticket_type, epoch_id, bandwidth_amount, expiry, "
      "nullifier, blinding_factor, blinded, created, changed) "
      "VALUES ('requested', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
  if (!statement) return std::unexpected(std::move(statement.error()));
  const auto& message = withdrawal.message();
  const auto factor = withdrawal.blinding_factor();
  const auto now = current_time();
  auto done = statement->bind(ByteView(message.gateway.bytes))
                  .bind(static_cast<std::int64_t>(message.type))
                  .bind(key.epoch_id)
                  .bind(message.bandwidth_amount)
                  .bind(message.expiry)
                  .bind(ByteView(message.nullifier))
                  .bind(ByteView(factor.bytes()))
                  .bind(ByteView(withdrawal.blinded()))
                  .bind(now)
                  .bind(now)
                  .run();
  if (!done) return std::unexpected(std::move(done.error()));
  // Before the commit: nobody can see the ticket without seeing that it is held.
  auto lease = leases_->try_acquire(database_.last_insert_id());
  if (!lease) return std::unexpected(std::move(lease.error()));
  if (!*lease) {
    return database_.failure(ProbeCode::wallet_unusable, "a new ticket is held by somebody else");
  }
  return HeldWithdrawal{std::move(**lease), key.epoch_id, std::move(withdrawal)};
}

Outcome<std::vector<std::int64_t>> Wallet::ids(const Wanted& wanted, TicketState state) {
  // Of unspent tickets those go first that are of no use first; of others the oldest.
  auto rows = database_.prepare(
      fmt::format("SELECT id FROM tickets WHERE gateway = ?1 AND ticket_type = ?2 AND state = ?3 "
                  "AND expiry > ?4 ORDER BY {}",
                  state == TicketState::unspent ? "expiry, id" : "id"));
  if (!rows) return std::unexpected(std::move(rows.error()));
  rows->bind(ByteView(wanted.gateway.bytes))
      .bind(static_cast<std::int64_t>(wanted.type))
      .bind(name(state))
      .bind(std::min<UnixSeconds>(wanted.now, std::numeric_limits<std::int64_t>::max()));
  std::vector<std::int64_t> found;
  while (true) {
    auto row = rows->next();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return found;
    found.push_back(rows->integer(0));
  }
}

Outcome<std::vector<HeldWithdrawal>> Wallet::resume(const Wanted& wanted, std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto found = ids(wanted, TicketState::requested);
  if (!found) return std::unexpected(found.error());
  std::vector<HeldWithdrawal> held;
  for (const auto id : *found) {
    if (held.size() >= count) break;
    auto one = resume_one(id);
    if (!one) return std::unexpected(std::move(one.error()));
    if (*one) held.push_back(std::move(**one));
  }
  return held;
}

Outcome<std::optional<HeldWithdrawal>> Wallet::resume_one(std::int64_t id) {
  auto lease = leases_->try_acquire(id);
  if (!lease) return std::unexpected(std::move(lease.error()));
  if (!*lease) return std::nullopt;
  // Read under the lease: the one who had it before may have finished.
  auto row = database_.prepare(
      "SELECT gateway, ticket_type, bandwidth_amount, expiry, nullifier, blinding_factor, epoch_id "
      "FROM tickets WHERE id = ?1 AND state = 'requested'");
  if (!row) return std::unexpected(std::move(row.error()));
  const auto there = row->bind(id).next();
  if (!there) return std::unexpected(there.error());
  if (!*there) return std::nullopt;
  const auto message = read_message(*row, 0, 1, 2, 3, 4);
  if (message && row->blob(5).size() == 32) {
    auto withdrawal = ecash::Withdrawal::resume(*message, Secret<32>(row->blob(5).first<32>()));
    if (withdrawal) {
      return HeldWithdrawal{std::move(**lease), static_cast<std::uint64_t>(row->integer(6)),
                            std::move(*withdrawal)};
    }
  }
  return database_.failure(ProbeCode::wallet_corrupt, fmt::format("ticket {} makes no sense", id));
}

Outcome<HeldTicket> Wallet::keep(HeldWithdrawal withdrawal,
                                 const messages::Credential& credential) {
  const std::lock_guard lock(mutex_);
  auto statement = database_.prepare(
      fmt::format("UPDATE tickets SET state = 'unspent', signature = ?2, blinding_factor = NULL, "
                  "blinded = NULL, changed = ?3 WHERE id = ?1 AND state = 'requested' RETURNING {}",
                  columns));
  if (!statement) return std::unexpected(std::move(statement.error()));
  statement->bind(withdrawal.lease.id()).bind(ByteView(credential.signature)).bind(current_time());
  const auto changed = statement->next();
  if (!changed) return std::unexpected(changed.error());
  if (!*changed) return database_.failure(ProbeCode::internal, "a withdrawal ended twice");
  auto ticket = read(*statement);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  // The statement commits when it ends.
  if (auto ended = statement->run(); !ended) return std::unexpected(std::move(ended.error()));
  empty_log(database_);
  return HeldTicket{std::move(withdrawal.lease), std::move(*ticket)};
}

Outcome<std::optional<HeldTicket>> Wallet::hold_one(std::int64_t id) {
  auto lease = leases_->try_acquire(id);
  if (!lease) return std::unexpected(std::move(lease.error()));
  if (!*lease) return std::nullopt;
  // Read under the lease: the one who had it before may have changed it.
  auto row = database_.prepare(fmt::format("SELECT {} FROM tickets WHERE id = ?1", columns));
  if (!row) return std::unexpected(std::move(row.error()));
  const auto there = row->bind(id).next();
  if (!there) return std::unexpected(there.error());
  if (!*there) return std::nullopt;
  auto ticket = read(*row);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  return HeldTicket{std::move(**lease), std::move(*ticket)};
}

Outcome<std::vector<HeldTicket>> Wallet::hold_in(const Wanted& wanted, TicketState state,
                                                 std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto found = ids(wanted, state);
  if (!found) return std::unexpected(found.error());
  std::vector<HeldTicket> held;
  for (const auto id : *found) {
    if (held.size() >= count) break;
    auto one = hold_one(id);
    if (!one) return std::unexpected(std::move(one.error()));
    if (*one && (*one)->ticket.state == state) held.push_back(std::move(**one));
  }
  return held;
}

Outcome<std::vector<HeldTicket>> Wallet::hold(const Wanted& wanted, std::size_t count) {
  return hold_in(wanted, TicketState::unspent, count);
}

Outcome<std::vector<HeldTicket>> Wallet::hold_unanswered(const Wanted& wanted, std::size_t count) {
  return hold_in(wanted, TicketState::sent, count);
}

Outcome<std::optional<HeldTicket>> Wallet::find(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  return hold_one(id);
}

Outcome<void> Wallet::take(HeldTicket& held, const Registrant& registrant) {
  const std::lock_guard lock(mutex_);
  auto& ticket = held.ticket;
  const bool again = ticket.state == TicketState::sent;
  if (!again && ticket.state != TicketState::unspent) {
    return database_.failure(ProbeCode::internal,
                             fmt::format("ticket {} is {}", ticket.id, name(ticket.state)));
  }
  if (again && (!ticket.sent_with || !same(*ticket.sent_with, registrant))) {
    return database_.failure(ProbeCode::internal, "a ticket was to be sent with another key");
  }
  // The lease makes this unlikely to fail, the state makes it impossible to succeed twice.
  auto statement = database_.prepare(
      "UPDATE tickets SET state = 'sent', wireguard_secret = ?2, client_id = ?3, "
      "sends = sends + 1, reason = '', changed = ?4 WHERE id = ?1 AND state = ?5 RETURNING sends");
  if (!statement) return std::unexpected(std::move(statement.error()));
  const auto* id = client_id(registrant);
  statement->bind(ticket.id).bind(ByteView(registrant.wireguard.secret.bytes()));
  if (id != nullptr) {
    statement->bind(ByteView(*id));
  } else {
    statement->bind_null();
  }
  const auto row = statement->bind(current_time()).bind(name(ticket.state)).next();
  if (!row) return std::unexpected(row.error());
  if (!*row) {
    return database_.failure(ProbeCode::internal,
                             fmt::format("ticket {} was taken by somebody else", ticket.id));
  }
  const auto sends = static_cast<std::uint64_t>(statement->integer(0));
  if (auto ended = statement->run(); !ended) return ended;
  ticket.sends = sends;
  ticket.state = TicketState::sent;
  if (!again) ticket.sent_with = registrant.clone();
  return {};
}

Outcome<void> Wallet::settle(HeldTicket& held, TicketState state, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  const bool forget = state == TicketState::unspent;
  auto statement = database_.prepare(fmt::format(
      "UPDATE tickets SET state = ?2, reason = ?3, changed = ?4{} WHERE id = ?1 AND state = 'sent' "
      "RETURNING id",
      forget ? ", wireguard_secret = NULL, client_id = NULL, sends = 0" : ""));
  if (!statement) return std::unexpected(std::move(statement.error()));
  const auto text = printable(reason);
  const auto row = statement->bind(held.ticket.id)
                       .bind(name(state))
                       .bind(std::string_view(text))
                       .bind(current_time())
                       .next();
  if (!row) return std::unexpected(row.error());
  if (!*row) {
    return database_.failure(ProbeCode::internal,
                             fmt::format("ticket {} was not sent", held.ticket.id));
  }
  if (auto ended = statement->run(); !ended) return ended;
  held.ticket.state = state;
  held.ticket.reason = text;
  if (forget) {
    held.ticket.sent_with.reset();
    held.ticket.sends = 0;
  }
  return {};
}

Outcome<void> Wallet::take_out(HeldTicket& held) {
  const std::lock_guard lock(mutex_);
  auto statement = database_.prepare(
      "UPDATE tickets SET state = 'exported', changed = ?2 WHERE id = ?1 AND state = 'unspent' "
      "RETURNING id");
  if (!statement) return std::unexpected(std::move(statement.error()));
  const auto row = statement->bind(held.ticket.id).bind(current_time()).next();
  if (!row) return std::unexpected(row.error());
  if (!*row) {
    return database_.failure(ProbeCode::internal,
                             fmt::format("ticket {} is not unspent", held.ticket.id));
  }
  if (auto ended = statement->run(); !ended) return ended;
  held.ticket.state = TicketState::exported;
  return {};
}

}  // namespace lp::probe::wallet
