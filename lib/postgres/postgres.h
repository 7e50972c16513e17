// PostgreSQL with owners, std::expected and the errors of our own, over libpqxx.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/postgres/error.h"
#include "lib/postgres/url.h"

namespace lp::postgres {

/// The values of $1, $2, … in this order. Everything is passed as text, which the server converts.
class Params {
 public:
  Params& add(std::int64_t value);
  Params& add_bool(bool value);
  Params& add(ByteView bytes);  ///< bytea
  Params& add(std::string_view text);
  Params& add_null();

  /// Arrays: bigint[], boolean[], bytea[], text[]. An empty optional is NULL.
  Params& add_array(std::span<const std::int64_t> values);
  Params& add_array(std::span<const std::optional<std::int64_t>> values);
  Params& add_array(const std::vector<bool>& values);
  Params& add_array(std::span<const ByteView> values);
  Params& add_array(std::span<const ByteArray<32>> values);
  Params& add_array(std::span<const std::string> values);

  [[nodiscard]] const std::vector<std::optional<std::string>>& values() const noexcept {
    return values_;
  }

 private:
  std::vector<std::optional<std::string>> values_;
};

/// What a statement returned: all of it, in memory. Rows and columns count from 0.
class Rows {
 public:
  Rows() noexcept;
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) noexcept;
  ~Rows();

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// Rows that an INSERT, UPDATE or DELETE changed.
  [[nodiscard]] std::int64_t changed() const noexcept;

  [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const noexcept;
  /// 0 where it is NULL or no integer.
  [[nodiscard]] std::int64_t integer(std::size_t row, std::size_t column) const noexcept;
  [[nodiscard]] bool boolean(std::size_t row, std::size_t column) const noexcept;
  /// Views into the result. Empty where it is NULL.
  [[nodiscard]] std::string_view text(std::size_t row, std::size_t column) const noexcept;
  /// Of a bytea. Empty where it is NULL or none.
  [[nodiscard]] Bytes bytes(std::size_t row, std::size_t column) const;

 private:
  friend class Connection;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct ConnectOptions {
  std::string application_name;
  /// How long a statement may wait for a lock, and run, before it fails with busy. 0: for ever. A
  /// server that says nothing for a quarter longer than a statement may run is frozen, and the
  /// connection lost.
  std::int64_t lock_timeout_ms = 5'000;
  std::int64_t statement_timeout_ms = 60'000;
};

/// One connection, for one thread at a time. It never connects again by itself: what was prepared
/// and locked would be lost unnoticed.
///
/// A session has synchronous_commit=on, READ COMMITTED, UTC, and no notices. On the server's side
/// it ends soon after the client has vanished from the network.
class Connection {
 public:
  [[nodiscard]] static Result<Connection> open(const Url& url, const ConnectOptions& options);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// Runs SQL without parameters, one statement or several, in one round trip. Several outside a
  /// transaction are one of their own.
  Status execute(std::string_view sql);
  [[nodiscard]] Result<Rows> query(std::string_view sql, const Params& params = {});
  /// Prepares a statement, now or when it is first run by its name.
  Status prepare(std::string_view name, std::string_view sql);
  [[nodiscard]] Result<Rows> run(std::string_view name, const Params& params = {});

  /// First row, first column. corrupt where there is no row.
  [[nodiscard]] Result<std::int64_t> query_integer(std::string_view sql, const Params& params = {});
  [[nodiscard]] Result<std::string> query_text(std::string_view sql, const Params& params = {});

  /// False once the connection was lost. It stays lost.
  [[nodiscard]] bool is_open() const noexcept;
  /// True where the last error was a deadlock or a serialisation failure: the same transaction may
  /// succeed when it is run again.
  [[nodiscard]] bool met_conflict() const noexcept;
  /// Statements run so far, besides those of `execute` and `prepare`.
  [[nodiscard]] std::uint64_t statements_run() const noexcept;

  void close() noexcept;

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::postgres
