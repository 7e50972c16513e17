#include "tools/db-maint/postgres_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gateway/storage/postgres_schema.h"
#include "lib/base/encoding.h"
#include "tools/db-maint/postgres_access.h"

namespace lp::db_maint {
namespace {

using Clock = std::chrono::steady_clock;
using gateway::storage::postgres_schema;
using postgres::Params;

constexpr std::array dated_tables{Dated::spent_credentials, Dated::lp_sessions};
constexpr int most_attempts = 10;

std::string_view is_older(Dated dated) {
  return dated == Dated::spent_credentials ? "expiry < $1" : "started_at < $1";
}

std::int64_t signed_time(UnixSeconds time) {
  return static_cast<std::int64_t>(time);
}

Value number_or_null(const postgres::Rows& rows, std::size_t row, std::size_t column) {
  return rows.is_null(row, column) ? Value() : Value(rows.integer(row, column));
}

Value time_or_null(const postgres::Rows& rows, std::size_t row, std::size_t column) {
  if (rows.is_null(row, column)) return {};
  return Time{static_cast<UnixSeconds>(rows.integer(row, column))};
}

/// The size of this program's tables and what belongs to them.
constexpr std::string_view select_bytes =
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";

// limit
constexpr std::string_view select_usage =
    "SELECT c.id, c.kind, coalesce(p.public_key, m.client_key),"
    " coalesce(p.ticket_type, m.ticket_type), b.used, b.available, b.credited, p.rx_bytes,"
    " p.tx_bytes, coalesce(p.created_at, m.created_at), coalesce(p.last_seen, m.last_seen),"
    " b.updated_at, p.instance"
    " FROM bandwidth AS b JOIN clients AS c ON c.id = b.client_id"
    " LEFT JOIN wireguard_peers AS p ON p.id = c.id"
    " LEFT JOIN mixnet_clients AS m ON m.id = c.id"
    " ORDER BY b.used DESC, c.id LIMIT $1";

/// Name and query (one integer) of the facts in `stats`; $1 is the time.
struct Count {
  const char* name;
  std::string_view sql;
  bool is_time = false;
};
constexpr std::array counts{
    Count{"instances", "SELECT count(*) FROM instances"},
    Count{"clients", "SELECT count(*) FROM clients"},
    Count{"wireguard_peers", "SELECT count(*) FROM wireguard_peers"},
    Count{"wireguard_peers_never_seen",
          "SELECT count(*) FROM wireguard_peers WHERE last_seen IS NULL"},
    Count{"wireguard_peers_without_bandwidth",
          "SELECT count(*) FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
          " WHERE b.available <= 0"},
    Count{"mixnet_clients", "SELECT count(*) FROM mixnet_clients"},
    // A sum that does not fit must be no error.
    Count{"bytes_available",
          "SELECT least(coalesce(sum(available), 0), 9223372036854775807)::bigint FROM bandwidth"},
    Count{"bytes_used",
          "SELECT least(coalesce(sum(used), 0), 9223372036854775807)::bigint FROM bandwidth"},
    Count{"bytes_credited",
          "SELECT least(coalesce(sum(credited), 0), 9223372036854775807)::bigint FROM bandwidth"},
    Count{"spent_credentials", "SELECT count(*) FROM spent_credentials"},
    Count{"spent_credentials_expired", "SELECT count(*) FROM spent_credentials WHERE expiry <= $1"},
    Count{"oldest_expiry", "SELECT min(expiry) FROM spent_credentials", true},
    Count{"newest_spent_at", "SELECT max(spent_at) FROM spent_credentials", true},
    Count{"lp_sessions", "SELECT count(*) FROM lp_sessions"},
    Count{"oldest_lp_session", "SELECT min(started_at) FROM lp_sessions", true},
    Count{"wireguard_removals", "SELECT count(*) FROM wireguard_removals"},
    Count{"oldest_wireguard_removal", "SELECT min(since) FROM wireguard_removals", true},
    Count{"released_addresses", "SELECT count(*) FROM released_addresses"},
};

/// The URL with that parameter before its others, of which the last of each name counts: what it
/// says itself stands.
std::string to_any_server(std::string url) {
  constexpr std::string_view parameter = "target_session_attrs=any";
  const auto query = url.find('?');
  if (query == std::string::npos) return fmt::format("{}?{}", url, parameter);
  return url.insert(query + 1, fmt::format("{}&", parameter));
}

}  // namespace

// Of several servers one that takes writes, as the gateways have it; a backup of a standby may lack
// the latest tickets. Where there is none, one that can be read: what is to be said about it, or to
// be read from it, is for the command to know.
Outcome<Session> connect(const std::string& text, std::string_view option,
                         std::chrono::milliseconds lock_timeout) {
  auto url = postgres::Url::parse(text);
  if (!url) return fail(exit_status::usage, fmt::format("{}: {}", option, url.error().detail));
  // To PostgreSQL a timeout of zero is none. Long statements are what this program is for.
  const postgres::ConnectOptions options{
      .application_name = "lp-db-maint",
      .lock_timeout_ms = std::max<std::int64_t>(1, lock_timeout.count()),
      .statement_timeout_ms = 0};
  auto connection = postgres::Connection::open(*url, options);
  if (!connection && connection.error().detail.find("read-only") != std::string::npos) {
    if (auto any = postgres::Url::parse(to_any_server(text))) {
      url = std::move(any);
      connection = postgres::Connection::open(*url, options);
    }
  }
  if (connection) return Session{.url = *std::move(url), .connection = *std::move(connection)};
  // Before there is a session there is no code that would tell.
  const auto& detail = connection.error().detail;
  if (detail.find("FATAL:  database ") != std::string::npos &&
      detail.find(" does not exist") != std::string::npos) {
    return fail(exit_status::no_input,
                fmt::format("{}: there is no such database: {}", url->display(), detail));
  }
  const bool refused = detail.find("authentication") != std::string::npos ||
                       detail.find("no password supplied") != std::string::npos ||
                       detail.find("pg_hba.conf") != std::string::npos;
  return fail(refused ? exit_status::no_permission : exit_status::unavailable,
              fmt::format("{}: cannot be reached: {}", url->display(), detail));
}

Outcome<std::unique_ptr<Store>> PostgresStore::open(const StoreOptions& options) {
  auto session = connect(options.storage, "--storage", options.lock_timeout);
  if (!session) return std::unexpected(session.error());
  const std::string& database = session->url.display();
  auto& connection = session->connection;
  const auto version = look_at_schema(connection, database, options.writes);
  if (!version) return std::unexpected(version.error());
  if (*version == 0) {
    return fail(exit_status::no_input,
                fmt::format("{}: is empty; lp-gateway makes its tables when it starts", database));
  }
  if (*version < postgres_schema().newest_version() && !options.any_schema_version) {
    return fail(exit_status::no_input,
                fmt::format("{}: has schema version {}, which is older than {}; stop its gateways "
                            "and run lp-db-maint migrate",
                            database, *version, postgres_schema().newest_version()));
  }
  const auto rights = options.writes ? Access::write : Access::read;
  const auto access = options.maintains ? Access::maintain : rights;
  if (auto checked = check_rights(connection, database, access); !checked) {
    return std::unexpected(checked.error());
  }
  return std::make_unique<PostgresStore>(std::move(session->url), std::move(session->connection),
                                         options.lock_timeout);
}

// The commits of maintenance are not waited for one by one: a crash of the server may bring the
// latest batches back, whole ones, and what a gateway commits after them is written after them.
PostgresStore::PostgresStore(postgres::Url url, postgres::Connection connection,
                             std::chrono::milliseconds lock_timeout)
    : url_(std::move(url)),
      lock_timeout_(lock_timeout),
      connection_(std::make_unique<postgres::Connection>(std::move(connection))) {
  (void)connection_->execute("SET synchronous_commit = off");  // where it fails the next one does
}

Result<Batch> PostgresStore::write(const std::function<Result<std::int64_t>()>& work) {
  for (int attempt = 1;; ++attempt) {
    const auto since = Clock::now();
    if (auto begun = connection_->execute("BEGIN"); !begun) {
      return std::unexpected(std::move(begun.error()));
    }
    auto rows = work();
    Status done;
    if (!rows) done = std::unexpected(rows.error());
    if (done) done = connection_->execute("COMMIT");
    if (done) return Batch{.rows = *rows, .locked = Clock::now() - since};
    const bool again = connection_->met_conflict() && attempt < most_attempts;
    (void)connection_->execute("ROLLBACK");
    if (!again) return std::unexpected(std::move(done.error()));
  }
}

std::span<const Dated> PostgresStore::dated() const {
  return dated_tables;
}

Result<std::optional<UnixSeconds>> PostgresStore::newest_activity() {
  const auto rows = connection_->query("SELECT max(spent_at) FROM spent_credentials");
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty() || rows->is_null(0, 0)) return std::nullopt;
  return static_cast<UnixSeconds>(rows->integer(0, 0));
}

Result<std::int64_t> PostgresStore::count_older(Dated dated, UnixSeconds before) {
  return connection_->query_integer(
      fmt::format("SELECT count(*) FROM {} WHERE {}", name(dated), is_older(dated)),
      Params().add(signed_time(before)));
}

// A row that is locked is waited for: to pass over it would end the cleanup early. FOR UPDATE keeps
// the rows where they are until they are deleted there.
Result<Batch> PostgresStore::remove_older(Dated dated, UnixSeconds before, std::int64_t limit) {
  const std::string sql = fmt::format(
      "DELETE FROM {0} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {0} WHERE {1} LIMIT $2 FOR "
      "UPDATE))",
      name(dated), is_older(dated));
  return write([&]() -> Result<std::int64_t> {
    const auto deleted = connection_->query(sql, Params().add(signed_time(before)).add(limit));
    if (!deleted) return std::unexpected(deleted.error());
    return deleted->changed();
  });
}

Result<Table> PostgresStore::report(std::int64_t limit) {
  const auto rows = connection_->query(select_usage, Params().add(limit));
  if (!rows) return std::unexpected(rows.error());
  Table table{
      .columns = {"client_id", "kind", "key", "ticket_type", "used", "available", "credited",
                  "rx_bytes", "tx_bytes", "created_at", "last_seen", "updated_at", "instance"},
      .rows = {}};
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto text = [&](std::size_t column) {
      return rows->is_null(row, column) ? Value() : Value(std::string(rows->text(row, column)));
    };
    std::vector<Value> cells{rows->integer(row, 0), text(1), to_base64(rows->bytes(row, 2)),
                             text(3)};
    for (std::size_t column = 4; column <= 8; ++column)
      cells.push_back(number_or_null(*rows, row, column));
    for (std::size_t column = 9; column <= 11; ++column)
      cells.push_back(time_or_null(*rows, row, column));
    cells.push_back(text(12));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Result<Facts> PostgresStore::stats(UnixSeconds now) {
  return read([&]() -> Result<Facts> {
    const auto about = connection_->query(
        "SELECT current_setting('server_version'), current_schema(),"
        " pg_database_size(current_database()), version FROM lp_schema");
    if (!about) return std::unexpected(about.error());
    const auto bytes = connection_->query_integer(select_bytes);
    if (!bytes) return std::unexpected(bytes.error());
    Facts facts{{"program", std::string(postgres_schema().program)},
                {"server_version", std::string(about->text(0, 0))},
                {"schema", std::string(about->text(0, 1))},
                {"schema_version", about->integer(0, 3)},
                {"file_bytes", *bytes},
                {"database_bytes", about->integer(0, 2)}};
    for (const auto& count : counts) {
      Params params;
      if (count.sql.find("$1") != std::string_view::npos) params.add(signed_time(now));
      const auto rows = connection_->query(count.sql, params);
      if (!rows) return std::unexpected(rows.error());
      facts.emplace_back(count.name,
                         count.is_time ? time_or_null(*rows, 0, 0) : number_or_null(*rows, 0, 0));
    }
    return facts;
  });
}

// Neither waits for the gateways nor keeps them waiting. Each table is a statement of its own, for
// VACUUM runs in no transaction.
Status PostgresStore::vacuum() {
  const auto tables = connection_->query(
      "SELECT quote_ident(relname) FROM pg_class"
      " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY relname");
  if (!tables) return std::unexpected(tables.error());
  for (std::size_t row = 0; row < tables->size(); ++row) {
    auto done = connection_->execute(fmt::format("VACUUM (ANALYZE) {}", tables->text(row, 0)));
    if (!done) return done;
  }
  return {};
}

Result<std::int64_t> PostgresStore::schema_version() {
  return connection_->query_integer("SELECT version FROM lp_schema");
}

std::int64_t PostgresStore::newest_schema_version() const {
  return postgres_schema().newest_version();
}

Status PostgresStore::migrate() {
  if (auto set = connection_->execute("SET synchronous_commit = on"); !set) return set;
  return postgres::migrate(*connection_, postgres_schema());
}

std::int64_t PostgresStore::file_bytes() const {
  return connection_->query_integer(select_bytes).value_or(0);
}

}  // namespace lp::db_maint
