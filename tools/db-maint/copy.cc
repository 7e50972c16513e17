// Moves a gateway's database from SQLite to PostgreSQL, in one transaction: whatever ends it before
// the COMMIT leaves tables without rows, which a copy begins anew with. The rows are read back and
// compared before that COMMIT, and the source is retired after it. Where nobody knows whether the
// COMMIT was carried out, the next run finds the rows there, compares them, and goes on from there.
#include <fmt/format.h>

#include "gateway/storage/postgres_schema.h"
#include "tools/db-maint/commands.h"
#include "tools/db-maint/copy_rows.h"
#include "tools/db-maint/gateway_store.h"
#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/postgres_access.h"
#include "tools/db-maint/postgres_store.h"
#include "tools/db-maint/progress.h"

namespace lp::db_maint {
namespace {

using gateway::storage::postgres_schema;

constexpr std::size_t rows_of_a_step = 2'000;

/// Nobody writes to these until the end of the transaction.
constexpr std::string_view lock_tables =
    "LOCK TABLE instances, clients, wireguard_peers, mixnet_clients, bandwidth, spent_credentials,"
    " lp_sessions, wireguard_removals, released_addresses IN SHARE ROW EXCLUSIVE MODE";

// What SQLite has not written down. The gateway does when it starts.
constexpr std::string_view note_instance =
    "INSERT INTO instances (name, wireguard_public_key, announced_host, announced_port, ipv4_pool,"
    " ipv6_pool, started_at) VALUES ($1, decode(repeat('00', 32), 'hex'), '', 1, '', '', 0)"
    " ON CONFLICT (name) DO NOTHING";

class Copy {
 public:
  Copy(GatewayStore& source, postgres::Connection target, const Options& options)
      : source_(source), target_(std::move(target)), options_(options) {}

  Outcome<void> count() {
    for (const auto& table : copied_tables()) {
      const auto rows = source_.connection().query_integer(
          fmt::format("SELECT count(*) FROM {}", table.name).c_str());
      if (!rows) return std::unexpected(of_source(rows.error()));
      counts_.push_back(*rows);
      total_ += *rows;
    }
    return {};
  }

  /// Whether the target may be filled, without changing anything.
  Outcome<void> look_at_target() {
    const auto version = check_target();
    if (!version) return std::unexpected(version.error());
    if (*version == 0) return {};
    const auto filled = filled_table();
    if (!filled) return std::unexpected(filled.error());
    if (filled->empty()) return {};
    was_there_ = true;
    auto done = execute("BEGIN READ ONLY");
    if (done) done = find();
    (void)target_.execute("ROLLBACK");
    return done;
  }

  /// Fills the target and retires the source.
  Outcome<void> run() {
    if (const auto version = check_target(); !version) return std::unexpected(version.error());
    if (auto made = migrate(target_, postgres_schema()); !made) {
      return std::unexpected(of_target(made.error()));
    }
    const auto locked = lock_instance();
    if (!locked) return std::unexpected(locked.error());
    if (!*locked) {
      return fail(exit_status::unknown, fmt::format("{}: instance '{}' runs; stop that gateway",
                                                    options_.target_database, options_.instance));
    }
    auto done = execute("BEGIN");
    if (done) done = execute(lock_tables);
    if (done) done = fill_or_find();
    if (!done) {
      (void)target_.execute("ROLLBACK");
      return done;
    }
    if (auto committed = target_.execute("COMMIT"); !committed) {
      return fail(exit_status::unavailable,
                  fmt::format("{}: whether the copy was committed is not known ({}); run this "
                              "again, which finds out",
                              options_.target_database, committed.error().detail));
    }
    (void)target_.execute("ANALYZE");  // for the first plans; it is done by itself in a while
    return retire();
  }

  [[nodiscard]] Table table() const {
    Table table{.columns = {"table", "rows"}, .rows = {}};
    for (std::size_t i = 0; i < counts_.size(); ++i)
      table.rows.push_back({std::string(copied_tables()[i].name), counts_[i]});
    return table;
  }
  [[nodiscard]] bool was_there() const { return was_there_; }
  [[nodiscard]] bool retired() const { return retired_; }

 private:
  [[nodiscard]] Failure of_source(const sqlite::Error& error) const {
    return failure_of(error, options_.database);
  }
  [[nodiscard]] Failure of_target(const postgres::Error& error) const {
    return failure_of(error, options_.target_database);
  }
  /// The schema version of the target, 0 where it is empty; that it is none of another program's,
  /// and may be written.
  Outcome<std::int64_t> check_target() {
    const auto& database = options_.target_database;
    auto version = look_at_schema(target_, database, true);
    if (!version) return version;
    const auto checked = *version == 0 ? check_may_create(target_, database)
                                       : check_rights(target_, database, Access::write);
    if (!checked) return std::unexpected(checked.error());
    return version;
  }
  [[nodiscard]] static Outcome<void> interrupted_here() {
    return fail(exit_status::unknown, "interrupted; nothing was copied");
  }

  /// Waits for --lock-timeout: the session of a copy that was killed ends a moment later.
  Outcome<bool> lock_instance() {
    const auto until = std::chrono::steady_clock::now() + options_.lock_timeout;
    while (true) {
      const auto locked = gateway::storage::try_lock_instance(target_, options_.instance);
      if (!locked) return std::unexpected(of_target(locked.error()));
      if (*locked || interrupted() || std::chrono::steady_clock::now() >= until) return *locked;
      rest(std::chrono::milliseconds(50));
    }
  }

  Outcome<void> execute(std::string_view sql) {
    auto done = target_.execute(sql);
    if (!done) return std::unexpected(of_target(done.error()));
    return {};
  }

  /// The first table that has rows; empty where none has.
  Outcome<std::string> filled_table() {
    for (const auto& table : copied_tables()) {
      const auto rows = target_.query_integer(
          fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1) AS r", table.name));
      if (!rows) return std::unexpected(of_target(rows.error()));
      if (*rows > 0) return std::string(table.name);
    }
    return std::string();
  }

  /// Requires the lock on the tables.
  Outcome<void> fill_or_find() {
    const auto filled = filled_table();
    if (!filled) return std::unexpected(filled.error());
    was_there_ = !filled->empty();
    if (!was_there_) {
      if (auto done = fill(); !done) return done;
    }
    return find();
  }

  /// That the target has the rows of the source and no others.
  Outcome<void> find() {
    const auto difference = compare();
    if (!difference) return std::unexpected(difference.error());
    if (!*difference) return {};
    if (was_there_) {
      return fail(exit_status::cannot_create,
                  fmt::format("{}: is not empty, and no copy of this database: {}",
                              options_.target_database, **difference));
    }
    return fail(exit_status::critical,
                fmt::format("{}: has not taken what was written: {}; nothing was copied",
                            options_.target_database, **difference));
  }

  Outcome<void> fill() {
    const auto noted =
        target_.query(note_instance, postgres::Params().add(std::string_view(options_.instance)));
    if (!noted) return std::unexpected(of_target(noted.error()));
    for (const auto& table : copied_tables()) {
      const auto done = each_step(table, "rows copied", [&](const CopiedRows& rows) {
        return rows.size == 0 ? Outcome<void>() : insert(table, rows);
      });
      if (!done) return done;
      if (auto set = set_sequence(table); !set) return set;
    }
    return {};
  }

  Outcome<void> insert(const CopiedTable& table, const CopiedRows& rows) {
    const auto inserted = insert_rows(target_, table, rows, options_.instance);
    if (inserted) return {};
    if (inserted.error().kind != postgres::Error::Kind::invalid) {
      return std::unexpected(of_target(inserted.error()));
    }
    return fail(exit_status::critical,
                fmt::format("{}: {} holds what PostgreSQL refuses ({}); nothing was copied; see "
                            "lp-db-maint check",
                            options_.database, table.name, inserted.error().detail));
  }

  /// Ids are never used twice: SQLite knows the greatest there ever was. A sequence goes on where
  /// it was set, also where the transaction ends otherwise, and then begins higher than it must.
  Outcome<void> set_sequence(const CopiedTable& table) {
    if (!table.has_sequence) return {};
    const auto greatest = source_.connection().query_integer(
        fmt::format("SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{0}'), 0),"
                    " coalesce((SELECT max(id) FROM {0}), 0))",
                    table.name)
            .c_str());
    if (!greatest) return std::unexpected(of_source(greatest.error()));
    if (*greatest == 0) return {};
    const auto set = target_.query(
        fmt::format("SELECT setval(pg_get_serial_sequence('{}', 'id'), $1)", table.name),
        postgres::Params().add(*greatest));
    if (!set) return std::unexpected(of_target(set.error()));
    return {};
  }

  /// Row for row. What differs first, if anything does.
  Outcome<std::optional<std::string>> compare() {
    std::optional<std::string> difference;
    for (const auto& table : copied_tables()) {
      auto target = TargetRows::begin(target_, table);
      if (!target) return std::unexpected(of_target(target.error()));
      const auto done = each_step(
          table, "rows compared",
          [&](const CopiedRows& rows) {
            auto differs = target->differs_from(rows, options_.instance);
            if (!differs) return Outcome<void>(std::unexpected(of_target(differs.error())));
            difference = *std::move(differs);
            return Outcome<void>();
          },
          &difference);
      if (!done) return std::unexpected(done.error());
      if (difference) return difference;
    }
    return difference;
  }

  /// Some rows at a time, and none at the end. Ends early once `until` holds something.
  template <typename Work>
  Outcome<void> each_step(const CopiedTable& table, std::string_view what, Work work,
                          const std::optional<std::string>* until = nullptr) {
    if (what != doing_) {
      doing_ = what;
      done_ = 0;
    }
    auto source = SourceRows::begin(source_.connection(), table);
    if (!source) return std::unexpected(of_source(source.error()));
    while (true) {
      if (interrupted()) return interrupted_here();
      const auto rows = source->next(rows_of_a_step);
      if (!rows) return std::unexpected(of_source(rows.error()));
      if (auto done = work(*rows); !done) return done;
      done_ += static_cast<std::int64_t>(rows->size);
      progress_.show(what, done_, total_);
      if (rows->size == 0 || (until != nullptr && *until)) return {};
    }
  }

  Outcome<void> retire() {
    if (options_.keep_source) return {};
    if (auto done = source_.retire(); !done) {
      return fail(exit_status::warning,
                  fmt::format("the copy is whole, but {} cannot be retired ({}): see to it that no "
                              "gateway uses it again",
                              options_.database, done.error().detail));
    }
    retired_ = true;
    return {};
  }

  GatewayStore& source_;
  postgres::Connection target_;
  const Options& options_;
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
  std::int64_t done_ = 0;
  std::string_view doing_;
  bool was_there_ = false;
  bool retired_ = false;
  Progress progress_;
};

Outcome<Copy> begin(Store& store, const Options& options) {
  auto* const source = dynamic_cast<GatewayStore*>(&store);
  if (source == nullptr) {
    return fail(exit_status::usage,
                fmt::format("{}: is no gateway's database in SQLite", options.database));
  }
  auto target = connect(options.target, "--to", options.lock_timeout);
  if (!target) return std::unexpected(target.error());
  // Until it ends nobody has the file open, and so nobody changes it.
  const auto alone = options.dry_run ? true : source->take_exclusively({});
  if (!alone) return std::unexpected(failure_of(alone.error(), options.database));
  if (!*alone) {
    return fail(exit_status::unknown,
                fmt::format("{}: another process has it open; stop the gateway{}", options.database,
                            who_has_it_open(options.database)));
  }
  return Outcome<Copy>(std::in_place, *source, std::move(target->connection), options);
}

}  // namespace

Report copy(Store& source, const Options& options) {
  Report report;
  report.facts = {{"dry_run", options.dry_run},
                  {"target", options.target_database},
                  {"instance", options.instance}};
  auto copy = begin(source, options);
  if (!copy) {
    report.end_with(copy.error());
    return report;
  }
  auto done = copy->count();
  if (done) report.table = copy->table();
  if (done) done = options.dry_run ? copy->look_at_target() : copy->run();
  if (!done) report.end_with(done.error());
  if (done || done.error().status == exit_status::warning) {
    report.facts.emplace_back("was_there", copy->was_there());
    if (!options.dry_run) report.facts.emplace_back("source_retired", copy->retired());
  }
  return report;
}

}  // namespace lp::db_maint
