// Storage in a PostgreSQL database that several instances of one gateway share (docs/storage.md,
// "Several instances on PostgreSQL").
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

struct PostgresOptions {
  std::string url{};  ///< postgresql://…; may hold a password, which no error shows
  /// This instance: its name, which no other that runs has, and what the clients that it serves are
  /// told by the others.
  ServingInstance instance{};
  std::string ipv4_pool{};  ///< as in SqliteOptions; the instances' pools may overlap
  std::string ipv6_pool{};
  /// One transaction for each registration instead of one for all that wait. For comparison only.
  bool commit_each = false;
  /// The server ends a statement that runs for longer, which is then `busy`. Where it says nothing
  /// for a quarter longer, it is frozen and the connection lost: before a client gives up.
  std::chrono::milliseconds statement_timeout{20'000};
};

/// Whether the text may name an instance: 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-'.
[[nodiscard]] bool is_instance_name(std::string_view text) noexcept;

/// Connects, migrates the schema in a transaction, takes the lock on the instance's name, writes
/// the instance's row, reads its address pool's state and starts the threads. Errors name the
/// database without its password; a name that is in use already is `unavailable`.
[[nodiscard]] StorageResult<std::unique_ptr<Storage>> open_postgres(PostgresOptions options);

}  // namespace lp::gateway::storage
