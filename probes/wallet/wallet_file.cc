#include "probes/wallet/wallet_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "lib/sqlite/database.h"
#include "probes/client/socket.h"

namespace lp::probe::wallet {
namespace {

// blinding_factor links what the issuer saw with what is spent, blinded does so together with the
// issuer's records; both go once the signature is there. AUTOINCREMENT: a number is never given
// twice, for it is also the place of a lease.
constexpr std::array migrations{R"(
CREATE TABLE tickets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state TEXT NOT NULL
    CHECK (state IN ('requested', 'unspent', 'sent', 'spent', 'exported', 'void')),
  gateway BLOB NOT NULL CHECK (length(gateway) = 32),
  ticket_type INTEGER NOT NULL CHECK (ticket_type BETWEEN 0 AND 3),
  epoch_id INTEGER NOT NULL,
  bandwidth_amount INTEGER NOT NULL,
  expiry INTEGER NOT NULL,
  nullifier BLOB NOT NULL UNIQUE CHECK (length(nullifier) = 32),
  blinding_factor BLOB CHECK (length(blinding_factor) = 32),
  blinded BLOB CHECK (length(blinded) = 48),
  signature BLOB,
  wireguard_secret BLOB CHECK (length(wireguard_secret) = 32),
  client_id BLOB CHECK (length(client_id) = 32),
  sends INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  CHECK ((state = 'requested') = (blinding_factor IS NOT NULL)),
  CHECK ((state = 'requested') = (blinded IS NOT NULL)),
  CHECK ((state = 'requested') = (signature IS NULL)),
  CHECK (state NOT IN ('sent', 'spent', 'void') OR wireguard_secret IS NOT NULL)
) STRICT;
CREATE INDEX tickets_by_gateway ON tickets (gateway, ticket_type, state, expiry);
)"};

constexpr sqlite::Schema schema{
    .application_id = 0x4c505731, .program = "lp-probe", .migrations = migrations};  // "LPW1"

std::unexpected<ProbeError> refused(ProbeCode code, const std::filesystem::path& path,
                                    std::string_view what) {
  return fail(Stage::resolve, code, fmt::format("{}: {}", printable(path.string()), what));
}

Outcome<void> make_directory(const std::filesystem::path& path) {
  std::error_code error;
  const auto directory = path.parent_path();
  if (directory.empty() || std::filesystem::exists(directory, error)) return {};
  std::filesystem::create_directories(directory.parent_path(), error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return refused(ProbeCode::wallet_unusable, path, client::errno_text(errno));
  }
  return {};
}

/// A file that is not there yet is private.
Outcome<void> check_private(const std::filesystem::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return refused(ProbeCode::wallet_unusable, path, client::errno_text(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return refused(ProbeCode::wallet_corrupt, path, "is no regular file");
  }
  if (info.st_uid != geteuid()) {
    return refused(ProbeCode::wallet_exposed, path, fmt::format("belongs to user {}", info.st_uid));
  }
  if ((info.st_mode & 077U) != 0) {
    return refused(
        ProbeCode::wallet_exposed, path,
        fmt::format("has mode {:04o}; others may get at the tickets", info.st_mode & 07777U));
  }
  return {};
}

}  // namespace

Outcome<Database> open_wallet_file(const std::filesystem::path& path) {
  if (auto made = make_directory(path); !made) return std::unexpected(std::move(made.error()));
  // What is there is judged before it is opened: opening it would set a mode that lets others in
  // right, and say nothing of what they may have seen.
  if (auto safe = check_private(path); !safe) return std::unexpected(std::move(safe.error()));
  auto connection = sqlite::open_database(path, schema);
  if (!connection) return database_failure(path.string(), connection.error());
  Database database(std::move(*connection), path.string());
  // What is overwritten or deleted becomes zeros and is not left in free space.
  if (auto done = database.execute("PRAGMA secure_delete = ON"); !done) {
    return std::unexpected(std::move(done.error()));
  }
  empty_log(database);  // of a probe that was killed
  return database;
}

void empty_log(Database& database) {
  [[maybe_unused]] const auto emptied = database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace lp::probe::wallet
