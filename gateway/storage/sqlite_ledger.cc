#include "gateway/storage/sqlite_ledger.h"

#include <fmt/core.h>

#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "gateway/storage/schema.h"
#include "gateway/storage/sqlite_lookup.h"

namespace lp::gateway::storage {
namespace {

constexpr std::int64_t as_integer(UnixSeconds time) noexcept {
  return static_cast<std::int64_t>(time);
}

/// The one row that `query` must have, left standing on it.
StorageStatus expect_row(Query& query, std::string_view otherwise) {
  auto row = query.next();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return std::unexpected(damaged(otherwise));
  return {};
}

std::int64_t saturating_sum(std::int64_t a, std::int64_t b) noexcept {
  return a > std::numeric_limits<std::int64_t>::max() - b ? std::numeric_limits<std::int64_t>::max()
                                                          : a + b;
}

StorageStatus forget_ticket(Statements& statements, const messages::Nullifier& nullifier) {
  return Query(statements[Sql::forget_ticket]).bind(nullifier).run();
}

}  // namespace

StorageResult<std::unique_ptr<Ledger>> SqliteLedger::open(Connection connection, AddressPool pool) {
  auto statements = Statements::prepare(connection);
  if (!statements) return std::unexpected(std::move(statements.error()));
  std::unique_ptr<SqliteLedger> ledger(
      new SqliteLedger(std::move(connection), std::move(*statements), std::move(pool)));
  if (auto loaded = ledger->load_pool(); !loaded) return std::unexpected(std::move(loaded.error()));
  return ledger;
}

StorageStatus SqliteLedger::begin() {
  if (auto begun = Query(statements_[Sql::begin]).run(); !begun) return begun;
  released_in_transaction_ = false;
  if (!pool_loaded_) return load_pool();
  // Here and not when a registration finds the pool empty, which would cost it a statement.
  if (pool_.is_exhausted()) return load_released_addresses();
  return {};
}

StorageStatus SqliteLedger::commit() {
  if (connection_.file_has_moved()) {
    return storage_fail(StorageError::Kind::unavailable,
                        "the database file was deleted or replaced while it is in use");
  }
  return Query(statements_[Sql::commit]).run();
}

Ledger::RolledBack SqliteLedger::roll_back() {
  // SQLite has done so by itself after some errors, such as a full disk.
  if (connection_.in_transaction()) std::ignore = Query(statements_[Sql::roll_back]).run();
  // What the pool has handed out is free again.
  pool_loaded_ = false;
  return {};
}

StorageStatus SqliteLedger::accept(std::span<AcceptJob* const> jobs, Counts& counts) {
  for (auto* job : jobs) {
    const auto statements_before = statements_run();
    auto result = accept(job->request);
    if (!result) return std::unexpected(std::move(result.error()));
    if (result->outcome == AcceptanceOutcome::accepted) {
      ++counts.registrations;
      counts.registration_statements += statements_run() - statements_before;
    }
    job->result = std::move(result);
  }
  return {};
}

StorageResult<AcceptanceResult> SqliteLedger::accept(const Acceptance& acceptance) {
  const bool wireguard = acceptance.owner.kind == ClientKind::wireguard;
  std::optional<ClientRowId> id;
  {
    Query spend(statements_[wireguard ? Sql::spend_wireguard : Sql::spend_mixnet]);
    spend.bind(acceptance.nullifier)
        .bind(as_integer(acceptance.expiry))
        .bind(as_integer(acceptance.now))
        .bind(acceptance.amount)
        .bind(acceptance.owner.key);
    const auto inserted = spend.next();
    if (!inserted) return std::unexpected(inserted.error());
    if (!*inserted) return answer_spent(acceptance);
    if (!spend.is_null(0)) id = spend.integer(0);
    if (auto done = spend.run(); !done) return std::unexpected(std::move(done.error()));
  }
  return id ? accept_existing(acceptance, *id) : accept_new(acceptance);
}

StorageResult<AcceptanceResult> SqliteLedger::accept_new(const Acceptance& acceptance) {
  const auto& owner = acceptance.owner;
  AcceptanceResult result{.amount = acceptance.amount, .has_bandwidth = acceptance.amount > 0};
  if (owner.kind == ClientKind::wireguard) {
    auto addresses = take_addresses();
    if (!addresses) return std::unexpected(std::move(addresses.error()));
    if (!*addresses) {
      auto forgotten = forget_ticket(statements_, acceptance.nullifier);
      if (!forgotten) return std::unexpected(std::move(forgotten.error()));
      return AcceptanceResult{.outcome = AcceptanceOutcome::pool_exhausted};
    }
    result.addresses = *addresses;
  }
  {
    Query client(statements_[Sql::insert_client]);
    client.bind(kind_word(owner.kind));
    if (auto row = expect_row(client, "no new client"); !row) return std::unexpected(row.error());
    result.client_id = client.integer(0);
    if (auto done = client.run(); !done) return std::unexpected(std::move(done.error()));
  }
  StorageStatus written;
  if (result.addresses) {
    const auto ipv4 = address_text(result.addresses->ipv4.octets);
    const auto ipv6 = address_text(result.addresses->ipv6.octets);
    written = Query(statements_[Sql::insert_wireguard_peer])
                  .bind(result.client_id)
                  .bind(owner.key)
                  .bind(name(acceptance.ticket_type))
                  .bind(ipv4.view())
                  .bind(ipv6.view())
                  .bind(as_integer(acceptance.now))
                  .run();
  } else {
    written = Query(statements_[Sql::insert_mixnet_client])
                  .bind(result.client_id)
                  .bind(owner.key)
                  .bind(name(acceptance.ticket_type))
                  .bind(as_integer(acceptance.now))
                  .run();
  }
  if (!written) return std::unexpected(std::move(written.error()));
  written = Query(statements_[Sql::insert_bandwidth])
                .bind(result.client_id)
                .bind(acceptance.amount)
                .bind(as_integer(acceptance.now))
                .run();
  if (!written) return std::unexpected(std::move(written.error()));
  written =
      Query(statements_[Sql::link_ticket]).bind(acceptance.nullifier).bind(result.client_id).run();
  if (!written) return std::unexpected(std::move(written.error()));
  return result;
}

StorageResult<AcceptanceResult> SqliteLedger::accept_existing(const Acceptance& acceptance,
                                                              ClientRowId id) {
  AcceptanceResult result{.client_id = id, .amount = acceptance.amount, .client_existed = true};
  if (acceptance.owner.kind == ClientKind::wireguard) {
    Query select(statements_[Sql::select_addresses]);
    select.bind(id);
    if (auto row = expect_row(select, "no peer for a client"); !row) {
      return std::unexpected(row.error());
    }
    auto addresses = read_addresses(select, 0);
    if (!addresses) return std::unexpected(std::move(addresses.error()));
    result.addresses = *addresses;
  } else {
    auto touched = Query(statements_[Sql::touch_mixnet_client])
                       .bind(id)
                       .bind(as_integer(acceptance.now))
                       .run();
    if (!touched) return std::unexpected(std::move(touched.error()));
  }
  {
    Query credit(statements_[Sql::credit]);
    credit.bind(id).bind(acceptance.amount).bind(as_integer(acceptance.now));
    const auto credited = credit.next();
    if (!credited) return std::unexpected(credited.error());
    if (!*credited) {
      return storage_fail(StorageError::Kind::invalid,
                          fmt::format("the credit of client {} would exceed 2^63 - 1 bytes", id));
    }
    result.has_bandwidth = credit.integer(0) > 0;
    if (auto done = credit.run(); !done) return std::unexpected(std::move(done.error()));
  }
  // A debt that this ticket does not cover keeps the peer out, and a removal of it noted.
  if (acceptance.owner.kind == ClientKind::wireguard && result.has_bandwidth) {
    auto done = Query(statements_[Sql::cancel_removal]).bind(acceptance.owner.key).run();
    if (!done) return std::unexpected(std::move(done.error()));
  }
  return result;
}

StorageResult<AcceptanceResult> SqliteLedger::answer_spent(const Acceptance& acceptance) {
  auto spent = find_spent_ticket(statements_, acceptance.nullifier);
  if (!spent) return std::unexpected(std::move(spent.error()));
  if (!*spent) return std::unexpected(damaged("a nullifier that cannot be read back"));
  if ((*spent)->owner != acceptance.owner) {
    return AcceptanceResult{.outcome = AcceptanceOutcome::spent_by_other};
  }
  return AcceptanceResult{.outcome = AcceptanceOutcome::replayed,
                          .client_id = (*spent)->client_id,
                          .addresses = (*spent)->addresses,
                          .amount = (*spent)->amount,
                          .client_existed = true};
}

StorageResult<Storage::Compensated> SqliteLedger::compensate(const CompensationRequest& request) {
  const auto& [owner, nullifier, now] = request;
  ClientRowId id = 0;
  std::int64_t amount = 0;
  {
    Query unspend(statements_[Sql::unspend]);
    unspend.bind(nullifier).bind(owner.key).bind(mode_word(owner.kind));
    const auto found = unspend.next();
    if (!found) return std::unexpected(found.error());
    if (!*found) return Storage::Compensated{};
    const bool client_is_gone = unspend.is_null(0);
    id = unspend.integer(0);
    amount = unspend.integer(1);
    if (auto done = unspend.run(); !done) return std::unexpected(std::move(done.error()));
    if (client_is_gone) return Storage::Compensated{};
  }
  std::int64_t available = 0;
  std::int64_t credited = 0;
  {
    Query debit(statements_[Sql::debit]);
    debit.bind(id).bind(amount).bind(as_integer(now));
    if (auto row = expect_row(debit, "no bandwidth row for a client"); !row) {
      return std::unexpected(row.error());
    }
    available = debit.integer(0);
    credited = debit.integer(1);
    if (auto done = debit.run(); !done) return std::unexpected(std::move(done.error()));
  }
  // A client whose other tickets were cleaned up after their time still has their credit.
  bool other_tickets = credited > 0;
  if (!other_tickets) {
    Query has_tickets(statements_[Sql::has_tickets]);
    has_tickets.bind(id);
    if (auto row = expect_row(has_tickets, "nothing"); !row) return std::unexpected(row.error());
    other_tickets = has_tickets.integer(0) != 0;
  }
  const bool wireguard = owner.kind == ClientKind::wireguard;
  if (!other_tickets) {
    auto deleted = Query(statements_[Sql::delete_client]).bind(id).run();
    if (!deleted) return std::unexpected(std::move(deleted.error()));
    released_in_transaction_ = true;
    return Storage::Compensated{.removal_noted = wireguard};
  }
  // The peer may have reached WireGuard although adding it was reported as failed. One with
  // bandwidth left belongs there; one without must leave.
  if (!wireguard || available > 0) return Storage::Compensated{};
  auto noted = Query(statements_[Sql::note_removal]).bind(owner.key).bind(as_integer(now)).run();
  if (!noted) return std::unexpected(std::move(noted.error()));
  return Storage::Compensated{.removal_noted = true};
}

StorageStatus SqliteLedger::confirm_removals(const std::vector<crypto::X25519Public>& keys) {
  for (const auto& key : keys) {
    for (const auto sql : {Sql::cancel_removal, Sql::reset_counters}) {
      if (auto done = Query(statements_[sql]).bind(key.bytes).run(); !done) return done;
    }
  }
  return {};
}

StorageResult<UsageOutcome> SqliteLedger::record_usage(const UsageRequest& request) {
  UsageOutcome outcome;
  for (const auto& entry : request.usage) {
    if (auto done = record_usage(entry, request.now, outcome); !done) {
      return std::unexpected(std::move(done.error()));
    }
  }
  return outcome;
}

StorageStatus SqliteLedger::record_usage(const PeerUsage& usage, UnixSeconds now,
                                         UsageOutcome& outcome) {
  {
    Query count(statements_[Sql::count_usage]);
    count.bind(usage.client_id)
        .bind(usage.before.rx)
        .bind(usage.before.tx)
        .bind(usage.after.rx)
        .bind(usage.after.tx);
    usage.last_seen ? count.bind(as_integer(*usage.last_seen)) : count.bind_null();
    if (auto done = count.run(); !done) return done;
    if (count.changed() == 0) {
      ++outcome.skipped;
      return {};
    }
  }
  Query use(statements_[Sql::use_bandwidth]);
  use.bind(usage.client_id).bind(usage.bytes).bind(as_integer(now));
  if (auto row = expect_row(use, "no bandwidth row for a client"); !row) return row;
  const auto available = use.integer(0);
  if (auto done = use.run(); !done) return done;
  ++outcome.peers;
  outcome.bytes = saturating_sum(outcome.bytes, usage.bytes);
  if (available > 0) return {};
  Query note(statements_[Sql::note_spent_peer]);
  note.bind(usage.client_id).bind(as_integer(now));
  auto noted = note.run();
  if (noted && note.changed() > 0) ++outcome.spent;
  return noted;
}

StorageResult<RemovedPeer> SqliteLedger::remove_peer(const crypto::X25519Public& key) {
  Query remove(statements_[Sql::delete_wireguard_client]);
  remove.bind(key.bytes);
  if (auto done = remove.run(); !done) return std::unexpected(std::move(done.error()));
  if (remove.changed() > 0) {
    released_in_transaction_ = true;
    return RemovedPeer{.existed = true, .removal_noted = true};
  }
  Query noted(statements_[Sql::is_removal_noted]);
  noted.bind(key.bytes);
  if (auto row = expect_row(noted, "nothing"); !row) return std::unexpected(row.error());
  return RemovedPeer{.existed = false, .removal_noted = noted.integer(0) != 0};
}

StorageStatus SqliteLedger::record_sessions(std::span<SessionJob* const> jobs) {
  for (auto* job : jobs) {
    auto done = record_session(job->request);
    if (!done && done.error().kind != StorageError::Kind::invalid) return done;
    job->result = std::monostate{};
  }
  return {};
}

StorageStatus SqliteLedger::record_session(const SessionRecord& record) {
  const auto bind_all = [&](Query& query) {
    query.bind(std::int64_t{record.session_id})
        .bind(std::int64_t{record.lp_id})
        .bind(record.client_ip)
        .bind(as_integer(record.started_at));
    record.completed_at ? query.bind(as_integer(*record.completed_at)) : query.bind_null();
    query.bind(record.status);
    record.client_id ? query.bind(*record.client_id) : query.bind_null();
  };
  if (record.completed_at) {
    Query complete(statements_[Sql::complete_session]);
    bind_all(complete);
    if (auto done = complete.run(); !done) return done;
    if (complete.changed() > 0) return {};
  }
  Query insert(statements_[Sql::insert_session]);
  bind_all(insert);
  return insert.run();
}

StorageStatus SqliteLedger::probe() {
  auto status = begin();
  if (status) status = rewrite_schema_version(connection_);
  if (status) status = commit();
  if (!status) roll_back();
  return status;
}

void SqliteLedger::close() {
  std::ignore = connection_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  statements_ = Statements();
  connection_.close();
}

StorageResult<std::optional<AddressPair>> SqliteLedger::take_addresses() {
  if (pool_.is_exhausted() && released_in_transaction_) {
    if (auto loaded = load_released_addresses(); !loaded) {
      return std::unexpected(std::move(loaded.error()));
    }
  }
  return pool_.take();
}

StorageStatus SqliteLedger::load_pool() {
  pool_.ipv4.reset();
  pool_.ipv6.reset();
  released_seen_ = 0;
  {
    Query peers(statements_[Sql::select_peer_addresses]);
    while (true) {
      const auto row = peers.next();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      const auto addresses = read_addresses(peers, 0);
      if (!addresses) return std::unexpected(addresses.error());
      pool_.ipv4.add_used(addresses->ipv4.octets);
      pool_.ipv6.add_used(addresses->ipv6.octets);
    }
  }
  if (auto released = load_released_addresses(); !released) return released;
  pool_.ipv4.finish_loading();
  pool_.ipv6.finish_loading();
  pool_loaded_ = true;
  return {};
}

StorageStatus SqliteLedger::load_released_addresses() {
  Query released(statements_[Sql::select_released_addresses]);
  released.bind(released_seen_);
  while (true) {
    const auto row = released.next();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    released_seen_ = released.integer(0);
    const auto text = released.text(1);
    if (const auto ipv4 = parse_address<4>(text)) {
      pool_.ipv4.add_released(*ipv4);
    } else if (const auto ipv6 = parse_address<16>(text)) {
      pool_.ipv6.add_released(*ipv6);
    } else {
      return std::unexpected(damaged("an address that is none"));
    }
  }
}

}  // namespace lp::gateway::storage
