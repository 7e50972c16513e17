#include <fmt/core.h>

#include <array>
#include <charconv>
#include <chrono>
#include <pqxx/pqxx>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/postgres/postgres.h"
#include "lib/postgres/reply_limit.h"

#if defined(__SANITIZE_ADDRESS__)
#define LP_LEAKS_ARE_LOOKED_FOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LP_LEAKS_ARE_LOOKED_FOR
#endif
#endif
#ifdef LP_LEAKS_ARE_LOOKED_FOR
// The names are the sanitizer's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_options();
// libpqxx 6 forgets libpq's result where the connection is lost while the result comes.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:PQmakeEmptyPGresult\n";
}
// What was suppressed would stand among what a program says.
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
#endif

namespace lp::postgres {
namespace {

// libpqxx 6 and 7 differ in how parameters are given whose number is known at run time only.
#if PQXX_VERSION_MAJOR >= 7
pqxx::params convert(const Params& params) {
  pqxx::params converted;
  for (const auto& value : params.values()) {
    if (value) {
      converted.append(std::string_view(*value));
    } else {
      converted.append();
    }
  }
  return converted;
}
#if PQXX_VERSION_MAJOR > 7 || PQXX_VERSION_MINOR >= 10
pqxx::result execute_query(pqxx::nontransaction& transaction, std::string_view sql,
                           const Params& params) {
  return transaction.exec(sql, convert(params));
}
pqxx::result execute_prepared(pqxx::nontransaction& transaction, std::string_view name,
                              const Params& params) {
  return transaction.exec(pqxx::prepped{std::string(name)}, convert(params));
}
#else
pqxx::result execute_query(pqxx::nontransaction& transaction, std::string_view sql,
                           const Params& params) {
  return transaction.exec_params(pqxx::zview(std::string(sql)), convert(params));
}
pqxx::result execute_prepared(pqxx::nontransaction& transaction, std::string_view name,
                              const Params& params) {
  return transaction.exec_prepared(pqxx::zview(std::string(name)), convert(params));
}
#endif
void never_connect_again(pqxx::connection&) {}
#else
std::vector<const char*> convert(const Params& params) {
  std::vector<const char*> converted;
  converted.reserve(params.values().size());
  for (const auto& value : params.values()) {
    converted.push_back(value ? value->c_str() : nullptr);
  }
  return converted;
}
pqxx::result execute_query(pqxx::nontransaction& transaction, std::string_view sql,
                           const Params& params) {
  return transaction.exec_params(std::string(sql),
                                 pqxx::prepare::make_dynamic_params(convert(params)));
}
pqxx::result execute_prepared(pqxx::nontransaction& transaction, std::string_view name,
                              const Params& params) {
  return transaction.exec_prepared(std::string(name),
                                   pqxx::prepare::make_dynamic_params(convert(params)));
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // and gone in libpqxx 7, as is the need
void never_connect_again(pqxx::connection& connection) {
  connection.inhibit_reactivation(true);
}
#pragma GCC diagnostic pop
#endif

/// Of the transaction, not of what it did: it can be run again.
bool is_conflict(std::string_view state) noexcept {
  return state == "40001" || state == "40P01";  // serialization_failure, deadlock_detected
}

/// The server ends the session with these.
bool ends_session(std::string_view state) noexcept {
  return state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05" ||
         state == "25P03" || state.starts_with("08");
}

/// PostgreSQL's documentation, appendix A, lists the codes.
Error::Kind kind_of(std::string_view state) noexcept {
  using Kind = Error::Kind;
  if (is_conflict(state)) return Kind::busy;
  if (state == "55P03" || state == "57014") return Kind::busy;  // lock and statement timeouts
  if (state == "53100") return Kind::full;
  if (state == "XX001" || state == "XX002") return Kind::corrupt;
  // What is wrong with this statement's values: data, constraints, RAISE, limits.
  for (const std::string_view own_fault : {"22", "23", "44", "P0", "54"}) {
    if (state.starts_with(own_fault)) return Kind::invalid;
  }
  return Kind::unavailable;
}

/// The first line; what follows repeats the statement.
std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  for (const std::string_view prefix : {"ERROR:  ", "FATAL:  "}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  return std::string(text);
}

/// libpq's text about a connection that did not come about, as one line.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c != '\n' && c != '\t') {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (line.ends_with(' '))
    line.pop_back();
  return line;
}

}  // namespace

struct Rows::Impl {
  pqxx::result result;

  [[nodiscard]] std::string_view text(std::size_t row, std::size_t column) const {
    const auto field = result[static_cast<pqxx::result::size_type>(row)]
                             [static_cast<pqxx::row::size_type>(column)];
    return {field.c_str(), field.size()};
  }
};

Rows::Rows() noexcept = default;
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

std::size_t Rows::size() const noexcept {
  return impl_ ? static_cast<std::size_t>(impl_->result.size()) : 0;
}

std::int64_t Rows::changed() const noexcept {
  return impl_ ? static_cast<std::int64_t>(impl_->result.affected_rows()) : 0;
}

bool Rows::is_null(std::size_t row, std::size_t column) const noexcept {
  return impl_
      ->result[static_cast<pqxx::result::size_type>(row)][static_cast<pqxx::row::size_type>(column)]
      .is_null();
}

std::int64_t Rows::integer(std::size_t row, std::size_t column) const noexcept {
  const auto digits = text(row, column);
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

bool Rows::boolean(std::size_t row, std::size_t column) const noexcept {
  return text(row, column) == "t";
}

std::string_view Rows::text(std::size_t row, std::size_t column) const noexcept {
  return impl_->text(row, column);
}

Bytes Rows::bytes(std::size_t row, std::size_t column) const {
  const auto hex = text(row, column);
  if (!hex.starts_with("\\x")) return {};
  return from_hex(hex.substr(2)).value_or(Bytes{});
}

struct Connection::Impl {
  Impl(const Url& from, const std::string& text, std::chrono::milliseconds longest)
      : url(from), connection(text), reply_limit(longest) {}

  /// Runs `work` with a transaction object that begins nothing, within the limit for a reply.
  template <typename Work>
  auto guarded(Work work) -> Result<decltype(work(std::declval<pqxx::nontransaction&>()))> {
    conflict = false;
    if (!open) return fail(Error::Kind::unavailable, "the connection to the database was lost");
    reply_limit.expect_reply(connection.sock());
    auto result = caught(std::move(work));
    if (reply_limit.replied()) return result;
    open = false;  // also for an answer that came in the last moment
    if (result) return result;
    const std::chrono::duration<double> seconds = reply_limit.limit();
    return fail(Error::Kind::unavailable,
                fmt::format("no answer from the database within {:g} s", seconds.count()));
  }

  /// Makes errors of exceptions.
  template <typename Work>
  auto caught(Work work) -> Result<decltype(work(std::declval<pqxx::nontransaction&>()))> {
    try {
      pqxx::nontransaction transaction(connection);
      return work(transaction);
    } catch (const pqxx::statement_completion_unknown& error) {
      open = false;  // as if the answer had not arrived
      return fail(Error::Kind::unavailable, url.redact(first_line(error.what())));
    } catch (const pqxx::transaction_rollback& error) {  // in libpqxx 6 no sql_error
      conflict = true;
      return fail(Error::Kind::busy, url.redact(first_line(error.what())));
    } catch (const pqxx::sql_error& error) {
      const auto& state = error.sqlstate();
      conflict = is_conflict(state);
      if (ends_session(state) || !connection.is_open()) open = false;
      return fail(kind_of(state), url.redact(first_line(error.what())));
    } catch (const pqxx::broken_connection& error) {
      open = false;
      return fail(Error::Kind::unavailable,
                  url.redact("the connection to the database was lost: " + one_line(error.what())));
    } catch (const std::exception& error) {
      open = connection.is_open();
      return fail(Error::Kind::unavailable, url.redact(first_line(error.what())));
    }
  }

  Url url;
  pqxx::connection connection;
  ReplyLimit reply_limit;
  bool open = true;
  bool conflict = false;
  std::uint64_t statements = 0;
};

Connection::Connection(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(const Url& url, const ConnectOptions& options) {
  const std::chrono::milliseconds longest(options.statement_timeout_ms * 5 / 4);
  std::unique_ptr<Impl> impl;
  try {
    impl = std::make_unique<Impl>(url, url.connection_string(options.application_name), longest);
    never_connect_again(impl->connection);
  } catch (const std::exception& error) {
    return fail(Error::Kind::unavailable, url.redact(one_line(error.what())));
  }
  Connection connection(std::move(impl));
  // The server's side of the keepalives: a session whose client is gone holds locks no longer.
  const auto session = fmt::format(
      "SET client_min_messages = error; SET synchronous_commit = on;"
      "SET default_transaction_isolation = 'read committed'; SET timezone = 'UTC';"
      "SET bytea_output = 'hex'; SET standard_conforming_strings = on;"
      "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;"
      "SET tcp_keepalives_count = 3; SET lock_timeout = {}; SET statement_timeout = {}",
      options.lock_timeout_ms, options.statement_timeout_ms);
  if (auto set = connection.execute(session); !set) return std::unexpected(std::move(set.error()));
  return connection;
}

Status Connection::execute(std::string_view sql) {
  auto result = impl_->guarded(
      [&](pqxx::nontransaction& transaction) { return transaction.exec(std::string(sql)); });
  if (!result) return std::unexpected(std::move(result.error()));
  return {};
}

Result<Rows> Connection::query(std::string_view sql, const Params& params) {
  ++impl_->statements;
  return impl_->guarded([&](pqxx::nontransaction& transaction) {
    Rows rows;
    rows.impl_ = std::make_unique<Rows::Impl>(execute_query(transaction, sql, params));
    return rows;
  });
}

Status Connection::prepare(std::string_view name, std::string_view sql) {
  auto prepared = impl_->guarded([&](pqxx::nontransaction&) {
    impl_->connection.prepare(std::string(name), std::string(sql));
    return true;
  });
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  return {};
}

Result<Rows> Connection::run(std::string_view name, const Params& params) {
  ++impl_->statements;
  return impl_->guarded([&](pqxx::nontransaction& transaction) {
    Rows rows;
    rows.impl_ = std::make_unique<Rows::Impl>(execute_prepared(transaction, name, params));
    return rows;
  });
}

Result<std::int64_t> Connection::query_integer(std::string_view sql, const Params& params) {
  const auto rows = query(sql, params);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return fail(Error::Kind::corrupt, "the database returned no row");
  return rows->integer(0, 0);
}

Result<std::string> Connection::query_text(std::string_view sql, const Params& params) {
  const auto rows = query(sql, params);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return fail(Error::Kind::corrupt, "the database returned no row");
  return std::string(rows->text(0, 0));
}

bool Connection::is_open() const noexcept {
  return impl_ && impl_->open;
}

bool Connection::met_conflict() const noexcept {
  return impl_ && impl_->conflict;
}

std::uint64_t Connection::statements_run() const noexcept {
  return impl_ ? impl_->statements : 0;
}

void Connection::close() noexcept {
  impl_.reset();
}

}  // namespace lp::postgres
