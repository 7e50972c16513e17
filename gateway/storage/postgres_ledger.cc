#include "gateway/storage/postgres_ledger.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include "gateway/storage/postgres_rows.h"
#include "gateway/storage/postgres_schema.h"

namespace lp::gateway::storage {
namespace {

using postgres::Params;
using postgres::Rows;

constexpr std::array<PreparedStatement, 12> ledger_statements{{
    {"accept_tickets",
     "SELECT ticket, outcome, client, existed, left_available, ticket_amount, ipv4, ipv6, serving"
     " FROM lp_accept_tickets($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"},
    {"compensate_ticket",
     "SELECT client_removed, removal_noted FROM lp_compensate_ticket($1, $2, $3, $4)"},
    {"record_usage",
     "SELECT debited, peers, skipped, spent"
     " FROM lp_record_usage($1, $2, $3, $4, $5, $6, $7, $8, $9)"},
    {"record_sessions", "SELECT lp_record_sessions($1, $2, $3, $4, $5, $6, $7, $8)"},
    // this instance, keys
    {"confirm_removals",
     "DELETE FROM wireguard_removals WHERE instance = $1 AND public_key = ANY ($2::bytea[])"},
    {"reset_counters",
     "UPDATE wireguard_peers SET rx_bytes = 0, tx_bytes = 0 WHERE instance = $1"
     " AND public_key = ANY ($2::bytea[]) AND (rx_bytes <> 0 OR tx_bytes <> 0)"},
    // Takes the peer, the bandwidth row and, by the schema's trigger, the addresses along, and
    // notes the removal.
    // this instance, key
    {"delete_peer",
     "DELETE FROM clients WHERE id ="
     " (SELECT id FROM wireguard_peers WHERE instance = $1 AND public_key = $2)"},
    {"is_removal_noted",
     "SELECT EXISTS (SELECT 1 FROM wireguard_removals WHERE instance = $1 AND public_key = $2)"},
    // name
    {"find_instance",
     "SELECT name, wireguard_public_key, announced_host, announced_port FROM instances"
     " WHERE name = $1"},
    // this instance
    {"peer_addresses",
     "SELECT private_ipv4, private_ipv6 FROM wireguard_peers WHERE instance = $1"},
    // this instance, families
    {"released_addresses",
     "SELECT address FROM released_addresses WHERE instance = $1"
     " AND family = ANY ($2::smallint[]) ORDER BY id"},
    {"touch_instance", "UPDATE instances SET started_at = started_at WHERE name = $1"},
}};

bool is_wireguard(const Owner& owner) noexcept {
  return owner.kind == ClientKind::wireguard;
}

constexpr std::int64_t as_bigint(UnixSeconds time) noexcept {
  return static_cast<std::int64_t>(time);
}

std::optional<std::int64_t> as_bigint(const std::optional<UnixSeconds>& time) noexcept {
  if (!time) return std::nullopt;
  return as_bigint(*time);
}

/// One array of `get` of every element.
template <typename T, typename Elements, typename Get>
std::vector<T> column(const Elements& elements, Get get) {
  std::vector<T> values;
  values.reserve(std::size(elements));
  for (const auto& element : elements)
    values.push_back(get(element));
  return values;
}

}  // namespace

PostgresLedger::PostgresLedger(const postgres::Url& url, const PostgresOptions& options,
                               AddressPool pool)
    : options_(options),
      session_(url, options.statement_timeout,
               [this](postgres::Connection& connection) { return set_up(connection); }),
      pool_(std::move(pool)) {}

StorageResult<std::unique_ptr<Ledger>> PostgresLedger::open(const postgres::Url& url,
                                                            const PostgresOptions& options,
                                                            AddressPool pool) {
  std::unique_ptr<PostgresLedger> ledger(new PostgresLedger(url, options, std::move(pool)));
  auto status = ledger->session_.connect();
  if (status) status = ledger->load_pool();
  if (!status) return std::unexpected(std::move(status.error()));
  return ledger;
}

StorageStatus PostgresLedger::set_up(postgres::Connection& connection) {
  if (!migrated_) {
    if (auto done = postgres::migrate(connection, postgres_schema()); !done) return done;
  } else {
    // Whoever empties the database under a gateway that runs, to restore it, is in the middle of
    // it.
    const auto version = postgres::check_schema_version(connection, postgres_schema());
    if (!version) return std::unexpected(version.error());
    if (*version != postgres_schema().newest_version()) {
      return postgres::fail(StorageError::Kind::unavailable, "the database has lost its tables");
    }
  }
  migrated_ = true;
  if (auto done = lock_instance(connection); !done) return done;
  if (auto done = write_instance(connection); !done) return done;
  return prepare_all(connection, ledger_statements);
}

// The lock belongs to the session, and everything is written in the session that has it: an
// instance that has lost it, to whatever, writes nothing. The server ends the session of a client
// that was killed a moment later only.
StorageStatus PostgresLedger::lock_instance(postgres::Connection& connection) {
  constexpr int most_attempts = 40;  // lp-db-maint holds it for a second, at most
  constexpr std::chrono::milliseconds between{50};
  for (int attempt = 1;; ++attempt) {
    const auto locked = try_lock_instance(connection, options_.instance.name);
    if (!locked) return std::unexpected(locked.error());
    if (*locked) return {};
    if (attempt == most_attempts) break;
    std::this_thread::sleep_for(between);
  }
  return postgres::fail(StorageError::Kind::unavailable,
                        fmt::format("instance '{}' already runs on this database; each has a name "
                                    "of its own",
                                    options_.instance.name));
}

StorageStatus PostgresLedger::write_instance(postgres::Connection& connection) {
  const auto& instance = options_.instance;
  const auto written = connection.query(
      "INSERT INTO instances (name, wireguard_public_key, announced_host, announced_port,"
      " ipv4_pool, ipv6_pool, started_at)"
      " VALUES ($1, $2, $3, $4, $5, $6, floor(extract(epoch FROM clock_timestamp())))"
      " ON CONFLICT (name) DO UPDATE SET wireguard_public_key = EXCLUDED.wireguard_public_key,"
      " announced_host = EXCLUDED.announced_host, announced_port = EXCLUDED.announced_port,"
      " ipv4_pool = EXCLUDED.ipv4_pool, ipv6_pool = EXCLUDED.ipv6_pool,"
      " started_at = EXCLUDED.started_at",
      Params()
          .add(instance.name)
          .add(ByteView(instance.wireguard_public_key.bytes))
          .add(instance.announced_host)
          .add(std::int64_t{instance.announced_port})
          .add(options_.ipv4_pool)
          .add(options_.ipv6_pool));
  if (!written) return std::unexpected(written.error());
  return {};
}

StorageStatus PostgresLedger::begin() {
  committing_ = false;
  conflict_ = false;
  connected_ = false;
  const auto made = session_.ensure();
  if (!made) return std::unexpected(made.error());
  connected_ = true;
  if (*made) pool_loaded_ = false;
  if (auto begun = session_.connection().execute("BEGIN"); !begun) return begun;
  if (!pool_loaded_) return load_pool();
  return {};
}

StorageStatus PostgresLedger::commit() {
  committing_ = true;
  auto done = session_.connection().execute("COMMIT");
  if (!done) conflict_ = session_.connection().met_conflict();
  return done;
}

Ledger::RolledBack PostgresLedger::roll_back() {
  // What the pool has handed out is free again.
  pool_loaded_ = false;
  RolledBack result;
  if (connected_) {
    if (session_.is_open()) {
      result.repeatable = conflict_;
      std::ignore = session_.connection().execute("ROLLBACK");
    } else {
      // Lost under way. Where that was in COMMIT, its answer is all that is missing, maybe.
      result.in_doubt = committing_;
      result.repeatable = true;
    }
  }
  committing_ = false;
  return result;
}

StorageResult<Rows> PostgresLedger::run(const char* name, const Params& params) {
  auto rows = session_.connection().run(name, params);
  if (!rows) conflict_ = session_.connection().met_conflict();
  return rows;
}

// A nullifier is there once in each call of the function.
StorageStatus PostgresLedger::accept(std::span<AcceptJob* const> jobs, Counts& counts) {
  while (!jobs.empty()) {
    std::set<messages::Nullifier> seen;
    const auto end = std::ranges::find_if(
        jobs, [&](const AcceptJob* job) { return !seen.insert(job->request.nullifier).second; });
    const auto count = static_cast<std::size_t>(end - jobs.begin());
    if (auto done = accept_distinct(jobs.first(count), counts); !done) return done;
    jobs = jobs.subspan(count);
  }
  return {};
}

StorageStatus PostgresLedger::accept_distinct(std::span<AcceptJob* const> jobs, Counts& counts) {
  std::vector<AcceptJob*> sorted(jobs.begin(), jobs.end());
  std::ranges::sort(sorted, {}, [](const AcceptJob* job) { return job->request.nullifier; });
  const auto wireguard = static_cast<std::size_t>(std::ranges::count_if(
      sorted, [](const AcceptJob* job) { return is_wireguard(job->request.owner); }));
  const auto addresses = take_addresses(wireguard);
  if (!addresses) return std::unexpected(addresses.error());

  const auto texts = [&](auto get) { return column<std::string>(*addresses, get); };
  const auto of_jobs = [&]<typename T>(T, auto get) {
    return column<T>(sorted, [&](const AcceptJob* job) { return get(job->request); });
  };
  const auto statements_before = statements_run();
  const auto rows = run(
      "accept_tickets",
      Params()
          .add(options_.instance.name)
          .add_array(of_jobs(ByteArray<32>{}, [](const Acceptance& a) { return a.nullifier; }))
          .add_array(of_jobs(ByteArray<32>{}, [](const Acceptance& a) { return a.owner.key; }))
          .add_array(of_jobs(bool{}, [](const Acceptance& a) { return is_wireguard(a.owner); }))
          .add_array(of_jobs(std::string{},
                             [](const Acceptance& a) { return std::string(name(a.ticket_type)); }))
          .add_array(
              of_jobs(std::int64_t{}, [](const Acceptance& a) { return as_bigint(a.expiry); }))
          .add_array(of_jobs(std::int64_t{}, [](const Acceptance& a) { return a.amount; }))
          .add_array(of_jobs(std::int64_t{}, [](const Acceptance& a) { return as_bigint(a.now); }))
          .add_array(texts([](const AddressPair& pair) {
            return std::string(address_text(pair.ipv4.octets).view());
          }))
          .add_array(texts([](const AddressPair& pair) {
            return std::string(address_text(pair.ipv6.octets).view());
          })));
  if (!rows) return std::unexpected(rows.error());

  std::size_t new_peers = 0;
  Instances instances;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto number = static_cast<std::size_t>(rows->integer(row, 0)) - 1;
    if (number >= sorted.size()) return std::unexpected(damaged("another function"));
    auto& job = *sorted[number];
    if (auto done = set_result(job, *rows, row, instances); !done) return done;
    if (!*job.result || (*job.result)->outcome != AcceptanceOutcome::accepted) continue;
    ++counts.registrations;
    if (is_wireguard(job.request.owner) && !(*job.result)->client_existed) ++new_peers;
  }
  counts.registration_statements += statements_run() - statements_before;
  for (auto i = addresses->size(); i > new_peers; --i)
    pool_.give_back((*addresses)[i - 1]);
  const bool complete =
      std::ranges::all_of(sorted, [](const AcceptJob* job) { return job->result.has_value(); });
  if (!complete) return std::unexpected(damaged("another function"));
  return {};
}

/// As many as there are, up to `count`.
StorageResult<std::vector<AddressPair>> PostgresLedger::take_addresses(std::size_t count) {
  std::vector<AddressPair> taken;
  taken.reserve(count);
  bool loaded = false;
  while (taken.size() < count) {
    // Addresses are released by others, too, such as lp-db-maint; and in this very transaction.
    if (pool_.is_exhausted() && !std::exchange(loaded, true)) {
      if (auto done = load_news(taken); !done) return std::unexpected(std::move(done.error()));
    }
    const auto pair = pool_.take();
    if (!pair) break;
    taken.push_back(*pair);
  }
  return taken;
}

StorageStatus PostgresLedger::set_result(AcceptJob& job, const Rows& rows, std::size_t row,
                                         Instances& instances) {
  const auto outcome = rows.text(row, 1);
  if (outcome == "too_much") {
    job.result = postgres::fail(
        StorageError::Kind::invalid,
        fmt::format("the credit of client {} would exceed 2^63 - 1 bytes", rows.integer(row, 2)));
    return {};
  }
  if (outcome == "pool_exhausted") {
    job.result = AcceptanceResult{.outcome = AcceptanceOutcome::pool_exhausted};
    return {};
  }
  if (outcome == "spent_by_other") {
    job.result = AcceptanceResult{.outcome = AcceptanceOutcome::spent_by_other};
    return {};
  }
  auto addresses = read_addresses(rows, row, 6);
  if (!addresses) return std::unexpected(std::move(addresses.error()));
  auto served_by = find_instance(rows.text(row, 8), instances);
  if (!served_by) return std::unexpected(std::move(served_by.error()));
  job.result = AcceptanceResult{
      .outcome = outcome == "accepted" ? AcceptanceOutcome::accepted : AcceptanceOutcome::replayed,
      .client_id = rows.integer(row, 2),
      .addresses = *addresses,
      .amount = rows.integer(row, 5),
      .client_existed = rows.boolean(row, 3),
      .has_bandwidth = rows.integer(row, 4) > 0,
      .served_by = std::move(*served_by)};
  return {};
}

/// None for this instance, and for no name.
StorageResult<std::optional<ServingInstance>> PostgresLedger::find_instance(std::string_view name,
                                                                            Instances& known) {
  if (name.empty() || name == options_.instance.name) return std::nullopt;
  if (const auto found = known.find(name); found != known.end()) return found->second;
  const auto rows = run("find_instance", Params().add(name));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::unexpected(damaged("a peer of no instance"));
  auto instance = read_instance(*rows, 0, 0);
  if (instance) known.emplace(name, *instance);
  return instance;
}

StorageResult<Storage::Compensated> PostgresLedger::compensate(const CompensationRequest& request) {
  const auto rows = run("compensate_ticket", Params()
                                                 .add(ByteView(request.nullifier))
                                                 .add(ByteView(request.owner.key))
                                                 .add_bool(is_wireguard(request.owner))
                                                 .add(as_bigint(request.now)));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::unexpected(damaged("another function"));
  return Storage::Compensated{.removal_noted = rows->boolean(0, 1)};
}

StorageStatus PostgresLedger::confirm_removals(const std::vector<crypto::X25519Public>& keys) {
  const auto bytes =
      column<ByteArray<32>>(keys, [](const crypto::X25519Public& key) { return key.bytes; });
  for (const char* name : {"confirm_removals", "reset_counters"}) {
    const auto done = run(name, Params().add(options_.instance.name).add_array(bytes));
    if (!done) return std::unexpected(done.error());
  }
  return {};
}

StorageResult<UsageOutcome> PostgresLedger::record_usage(const UsageRequest& request) {
  // In the order in which every instance locks clients. Entries of one client stay in theirs.
  std::multimap<ClientRowId, PeerUsage> by_client;
  for (const auto& entry : request.usage)
    by_client.emplace(entry.client_id, entry);
  std::vector<PeerUsage> usage;
  for (const auto& [client, entry] : by_client)
    usage.push_back(entry);
  const auto integers = [&](auto get) { return column<std::int64_t>(usage, get); };
  const auto rows =
      run("record_usage", Params()
                              .add(options_.instance.name)
                              .add_array(integers([](const PeerUsage& u) { return u.client_id; }))
                              .add_array(integers([](const PeerUsage& u) { return u.before.rx; }))
                              .add_array(integers([](const PeerUsage& u) { return u.before.tx; }))
                              .add_array(integers([](const PeerUsage& u) { return u.after.rx; }))
                              .add_array(integers([](const PeerUsage& u) { return u.after.tx; }))
                              .add_array(integers([](const PeerUsage& u) { return u.bytes; }))
                              .add_array(column<std::optional<std::int64_t>>(
                                  usage, [](const PeerUsage& u) { return as_bigint(u.last_seen); }))
                              .add(as_bigint(request.now)));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::unexpected(damaged("another function"));
  return UsageOutcome{.bytes = rows->integer(0, 0),
                      .peers = static_cast<std::size_t>(rows->integer(0, 1)),
                      .skipped = static_cast<std::size_t>(rows->integer(0, 2)),
                      .spent = static_cast<std::size_t>(rows->integer(0, 3))};
}

StorageResult<RemovedPeer> PostgresLedger::remove_peer(const crypto::X25519Public& key) {
  const auto params = Params().add(options_.instance.name).add(ByteView(key.bytes));
  const auto deleted = run("delete_peer", params);
  if (!deleted) return std::unexpected(deleted.error());
  if (deleted->changed() > 0) {
    return RemovedPeer{.existed = true, .removal_noted = true};
  }
  const auto noted = run("is_removal_noted", params);
  if (!noted) return std::unexpected(noted.error());
  return RemovedPeer{.existed = false, .removal_noted = noted->boolean(0, 0)};
}

// A record that does not fit fails its statement, and with it the transaction, but for a savepoint.
StorageStatus PostgresLedger::record_sessions(std::span<SessionJob* const> jobs) {
  for (auto* job : jobs)
    job->result = std::monostate{};
  auto& connection = session_.connection();
  const auto attempt = [&](std::span<SessionJob* const> some) -> StorageResult<bool> {
    if (auto done = connection.execute("SAVEPOINT sessions"); !done) {
      return std::unexpected(std::move(done.error()));
    }
    auto written = write_sessions(some);
    if (written) return true;
    if (written.error().kind != StorageError::Kind::invalid) {
      return std::unexpected(std::move(written.error()));
    }
    if (auto done = connection.execute("ROLLBACK TO SAVEPOINT sessions"); !done) {
      return std::unexpected(std::move(done.error()));
    }
    return false;
  };
  const auto all = attempt(jobs);
  if (!all) return std::unexpected(all.error());
  if (*all) return {};
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (const auto one = attempt(jobs.subspan(i, 1)); !one) return std::unexpected(one.error());
  }
  return {};
}

StorageStatus PostgresLedger::write_sessions(std::span<SessionJob* const> jobs) {
  const auto of_jobs = [&]<typename T>(T, auto get) {
    return column<T>(jobs, [&](const SessionJob* job) { return get(job->request); });
  };
  using Record = const SessionRecord&;
  const bool again =
      std::ranges::any_of(jobs, [](const SessionJob* job) { return job->in_doubt.has_value(); });
  using MaybeInteger = std::optional<std::int64_t>;
  const auto done = run(
      "record_sessions",
      Params()
          .add_array(of_jobs(std::int64_t{}, [](Record r) { return std::int64_t{r.session_id}; }))
          .add_array(of_jobs(std::int64_t{}, [](Record r) { return std::int64_t{r.lp_id}; }))
          .add_array(of_jobs(std::string{}, [](Record r) { return r.client_ip; }))
          .add_array(of_jobs(std::int64_t{}, [](Record r) { return as_bigint(r.started_at); }))
          .add_array(of_jobs(MaybeInteger{}, [](Record r) { return as_bigint(r.completed_at); }))
          .add_array(of_jobs(std::string{}, [](Record r) { return r.status; }))
          .add_array(of_jobs(MaybeInteger{}, [](Record r) { return MaybeInteger(r.client_id); }))
          .add_bool(again));
  if (!done) return std::unexpected(done.error());
  return {};
}

StorageStatus PostgresLedger::probe() {
  auto status = begin();
  if (status) {
    const auto touched = run("touch_instance", Params().add(options_.instance.name));
    if (!touched) status = std::unexpected(touched.error());
  }
  if (status) status = commit();
  if (!status) roll_back();
  return status;
}

StorageStatus PostgresLedger::look() {
  const auto made = session_.ensure();
  if (!made) return std::unexpected(made.error());
  if (*made) pool_loaded_ = false;
  return session_.connection().execute("SELECT 1");
}

void PostgresLedger::close() {
  session_.close();
}

StorageStatus PostgresLedger::load_pool() {
  pool_.ipv4.reset();
  pool_.ipv6.reset();
  const auto peers = run("peer_addresses", Params().add(options_.instance.name));
  if (!peers) return std::unexpected(peers.error());
  for (std::size_t row = 0; row < peers->size(); ++row) {
    const auto addresses = read_addresses(*peers, row, 0);
    if (!addresses) return std::unexpected(addresses.error());
    pool_.ipv4.add_used((*addresses)->ipv4.octets);
    pool_.ipv6.add_used((*addresses)->ipv6.octets);
  }
  if (auto done = load_released_addresses({4, 6}, {}); !done) return done;
  pool_.ipv4.finish_loading();
  pool_.ipv6.finish_loading();
  pool_loaded_ = true;
  return {};
}

/// A pool that is exhausted knows of no released address: all that there are, but for those `taken`
/// and not used yet, are news.
StorageStatus PostgresLedger::load_news(std::span<const AddressPair> taken) {
  std::vector<std::int64_t> families;
  if (!pool_.ipv4.has_next()) families.push_back(4);
  if (!pool_.ipv6.has_next()) families.push_back(6);
  return load_released_addresses(families, taken);
}

StorageStatus PostgresLedger::load_released_addresses(const std::vector<std::int64_t>& families,
                                                      std::span<const AddressPair> without) {
  std::set<ByteArray<4>> without_ipv4;
  std::set<ByteArray<16>> without_ipv6;
  for (const auto& pair : without) {
    without_ipv4.insert(pair.ipv4.octets);
    without_ipv6.insert(pair.ipv6.octets);
  }
  const auto rows =
      run("released_addresses", Params().add(options_.instance.name).add_array(families));
  if (!rows) return std::unexpected(rows.error());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto text = rows->text(row, 0);
    if (const auto ipv4 = parse_address<4>(text)) {
      if (!without_ipv4.contains(*ipv4)) pool_.ipv4.add_released(*ipv4);
    } else if (const auto ipv6 = parse_address<16>(text)) {
      if (!without_ipv6.contains(*ipv6)) pool_.ipv6.add_released(*ipv6);
    } else {
      return std::unexpected(damaged("an address that is none"));
    }
  }
  return {};
}

}  // namespace lp::gateway::storage
