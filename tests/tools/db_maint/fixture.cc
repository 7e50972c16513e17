#include "tests/tools/db_maint/fixture.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string_view>

namespace lp::db_maint::test {

bool long_run() {
  const char* const value = std::getenv("LP_TEST_LONG");
  return value != nullptr && std::string_view(value) == "1";
}

Database::Database() : path_(dir_ / "gateway.sqlite") {
  (void)open();
}

std::unique_ptr<gateway::storage::Storage> Database::open() const {
  auto storage = gateway::storage::open_sqlite(
      {.path = path_, .ipv4_pool = "10.0.0.0/14", .ipv6_pool = "fd00::/108"});
  if (!storage) throw std::runtime_error(storage.error().detail);
  return *std::move(storage);
}

void Database::accept(gateway::storage::Storage& storage, std::uint64_t owner,
                      std::uint64_t nullifier, std::int64_t expiry, std::int64_t spent_at) {
  using gateway::storage::AcceptanceResult;
  using Answer = gateway::storage::StorageResult<AcceptanceResult>;
  gateway::storage::Acceptance ticket;
  ticket.owner.key = bytes32(owner);
  ticket.nullifier = bytes32(nullifier + (std::uint64_t{1} << 40U));
  ticket.expiry = static_cast<UnixSeconds>(expiry);
  ticket.now = static_cast<UnixSeconds>(spent_at);
  ticket.amount = ticket_amount;
  std::promise<Answer> promise;
  storage.accept_ticket(ticket,
                        [&promise](Answer answer) { promise.set_value(std::move(answer)); });
  const auto answer = promise.get_future().get();
  if (!answer) throw std::runtime_error(answer.error().detail);
  if (answer->outcome != gateway::storage::AcceptanceOutcome::accepted) {
    throw std::runtime_error("the ticket was not accepted");
  }
}

void Database::accept(std::uint64_t owner, std::uint64_t nullifier, std::int64_t expiry,
                      std::int64_t spent_at) const {
  accept(*open(), owner, nullifier, expiry, spent_at);
}

void Database::add_spent(int count, std::int64_t expiry) const {
  const std::string time = std::to_string(expiry);
  rows().execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                 std::to_string(count) +
                 ") INSERT INTO spent_credentials"
                 " (nullifier, expiry, spent_at, amount, mode, owner, client_id)"
                 " SELECT randomblob(32), " +
                 time + ", " + time + " - 100, 1000, 'dvpn', randomblob(32), NULL FROM n");
}

std::vector<std::string> Database::arguments(std::vector<std::string> args) const {
  args.insert(args.end(),
              {"--storage", "sqlite:" + path_.string(), "--as-of", std::to_string(now)});
  return args;
}

Finished Database::maintain(std::vector<std::string> args) const {
  return lp_db_maint(arguments(std::move(args)));
}

void EveryDatabase::SetUp() {
  if (GetParam() == Kind::postgres && !lp::test::PostgresServer::installed()) {
    GTEST_SKIP() << lp::test::PostgresServer::not_installed;
  }
}

void EveryDatabase::filled() {
  if (GetParam() == Kind::sqlite) return;
  name_ = new_postgres_database();
  copy_to_postgres(database, name_);
}

std::string EveryDatabase::storage() const {
  return name_.empty() ? "sqlite:" + database.path().string() : postgres().url(name_);
}

Finished EveryDatabase::maintain(std::vector<std::string> args) const {
  args.insert(args.end(), {"--storage", storage(), "--as-of", std::to_string(now)});
  return lp_db_maint(std::move(args));
}

void EveryDatabase::execute(const std::string& sql) const {
  if (name_.empty()) {
    database.rows().execute(sql);
  } else {
    postgres().query(name_, sql);
  }
}

std::int64_t EveryDatabase::integer(const std::string& sql) const {
  return name_.empty() ? database.rows().integer(sql) : postgres_integer(name_, sql);
}

std::int64_t EveryDatabase::count(const std::string& table) const {
  return integer("SELECT count(*) FROM " + table);
}

void EveryDatabase::expect_clean() const {
  const auto checked = maintain({"check"});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
}

std::string kind_name(const ::testing::TestParamInfo<Kind>& info) {
  return info.param == Kind::sqlite ? "sqlite" : "postgres";
}

void OnPostgres::SetUp() {
  if (!lp::test::PostgresServer::installed()) {
    GTEST_SKIP() << lp::test::PostgresServer::not_installed;
  }
  name_ = new_postgres_database();
}

void OnPostgres::fill(std::uint64_t clients, int old) const {
  const Database source;
  {
    const auto storage = source.open();
    for (std::uint64_t i = 1; i <= clients; ++i)
      Database::accept(*storage, i, i, now + day, now);
  }
  if (old > 0) source.add_spent(old, now - 40 * day);
  copy_to_postgres(source, name_);
}

std::string OnPostgres::url() const {
  return postgres().url(name_);
}

std::vector<std::string> OnPostgres::arguments(std::vector<std::string> args) const {
  args.insert(args.end(), {"--storage", url(), "--as-of", std::to_string(now)});
  return args;
}

Finished OnPostgres::maintain(std::vector<std::string> args) const {
  return lp_db_maint(arguments(std::move(args)));
}

std::string OnPostgres::execute(const std::string& sql) const {
  return postgres().query(name_, sql);
}

std::int64_t OnPostgres::count(const std::string& table) const {
  return postgres_integer(name_, "SELECT count(*) FROM " + table);
}

void OnPostgres::expect_clean() const {
  const auto checked = maintain({"check"});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
}

postgres::Connection OnPostgres::connect() const {
  return postgres::Connection::open(postgres::Url::parse(url()).value(),
                                    {.application_name = "test"})
      .value();
}

SmallDisk::SmallDisk(std::filesystem::path place, const std::string& options)
    : place_(std::move(place)) {
  std::filesystem::create_directory(place_);
  mounted_ = ::mount("tmpfs", place_.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) (void)::umount2(place_.c_str(), MNT_DETACH);
}

void SmallDisk::fill_up(std::uintmax_t left) const {
  const auto free = std::filesystem::space(place_).available;
  std::ofstream file(place_ / "filler", std::ios::binary);
  file << std::string(free - left, 'x');
}

void SmallDisk::make_room() const {
  std::filesystem::remove(place_ / "filler");
}

lp::test::PostgresServer& postgres() {
  static lp::test::PostgresServer server(
      {.access = {"local all guarded scram-sha-256",
                  "host all guarded 127.0.0.1/32 scram-sha-256"}});
  return server;
}

std::string new_postgres_database() {
  static int number = 0;
  auto name = "db" + std::to_string(++number);
  postgres().create_database(name);
  return name;
}

std::int64_t postgres_integer(const std::string& database, const std::string& sql) {
  return std::stoll(postgres().query(database, sql));
}

void copy_to_postgres(const Database& source, const std::string& database) {
  const auto copied = lp_db_maint({"copy", "--storage", source.path().string(), "--to",
                                   postgres().url(database), "--instance", "a", "--keep-source"});
  ASSERT_EQ(copied.ended.code, 0) << copied.error_output;
}

Finished lp_db_maint(std::vector<std::string> args) {
  return lp::test::run({.program = lp::test::program("lp-db-maint"), .args = std::move(args)},
                       std::chrono::minutes(5));
}

std::int64_t number(const Finished& finished, const std::string& name) {
  const auto object = boost::json::parse(finished.output).as_object();
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return object.at(name).to_number<std::int64_t>();
  for (const auto& row : object.at("rows").as_array()) {
    const auto& fields = row.as_object();
    if (fields.begin()->value() == boost::json::value(name.substr(0, dot))) {
      return fields.at(name.substr(dot + 1)).to_number<std::int64_t>();
    }
  }
  throw std::runtime_error("no " + name + " in " + finished.output);
}

void expect_clean(const Database& database) {
  const auto checked = database.maintain({"check"});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
}

}  // namespace lp::db_maint::test
