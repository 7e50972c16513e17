// The issuer's database: every statement, and the two transactions that matter, rotation and
// withdrawal. Everything that is true of keys, tokens and allowances is in the file and nowhere
// else, so that several processes (lp-issuer run, lp-issuer token) may work on it at once.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/secret.h"
#include "lib/crypto/bls.h"
#include "lib/crypto/hash.h"
#include "lib/messages/registration.h"
#include "lib/sqlite/sqlite.h"

namespace lp::issuer {

using messages::TicketType;
using EpochId = std::int64_t;
using TokenId = std::int64_t;

/// What an authority is, from `lp-issuer init` on.
struct Authority {
  std::string contract;
  std::uint64_t epoch_length = 0;  ///< seconds
  std::uint64_t retention = 0;     ///< seconds
};

struct Epoch {
  EpochId id = 0;
  UnixSeconds expiry = 0;
  /// When it was first seen to be expired, since it was last seen not to be.
  std::optional<UnixSeconds> expired_since{};
};

struct PublicKeyRow {
  Epoch epoch;
  TicketType type = TicketType::v1_wireguard_entry;
  crypto::G2Encoding public_key{};
};

/// How many tickets a token may have, over its life.
struct Allowances {
  std::optional<std::int64_t> total{};
  /// Where there are any, types that are not named get none.
  std::map<TicketType, std::int64_t> types{};
};

struct TokenRow {
  struct Use {
    std::int64_t allowed = 0;
    std::int64_t used = 0;
  };
  TokenId id = 0;
  std::string label;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> revoked_at;
  std::optional<std::int64_t> allowed;  ///< in total
  std::int64_t used = 0;
  std::map<TicketType, Use> types;
};

enum class WithdrawalRefusal : std::uint8_t {
  token_unknown,  ///< or revoked
  epoch_unknown,
  epoch_expired,
  allowance_used_up,
};

/// What a withdrawal is for.
struct WithdrawalRequest {
  TokenId token = 0;
  EpochId epoch = 0;
  TicketType type = TicketType::v1_wireguard_entry;
  std::span<const crypto::G1Encoding> points;
};

struct Withdrawn {
  std::size_t charged = 0;  ///< points that were new
};

/// For one thread at a time. A function that fails has changed nothing.
class Store {
 public:
  /// Opens the file, or creates it with mode 0600.
  [[nodiscard]] static sqlite::Result<Store> open(const std::filesystem::path& path);

  [[nodiscard]] sqlite::Result<std::optional<Authority>> authority();
  sqlite::Status set_authority(const Authority& authority);

  /// Makes the keys of the epochs that are due, marks epochs that are seen to be expired, and
  /// deletes those that have been marked for the retention. Where the clock has gone back, marks go
  /// too. Reads only, where nothing is due.
  sqlite::Status rotate(UnixSeconds now);
  /// The expiry of the first epoch from now on that there is not.
  [[nodiscard]] sqlite::Result<UnixSeconds> next_expiry(UnixSeconds now);
  /// Makes that epoch, whether or not it is due.
  [[nodiscard]] sqlite::Result<Epoch> add_epoch(UnixSeconds now);
  /// By expiry. An epoch's keys come and go with it, and never change.
  [[nodiscard]] sqlite::Result<std::vector<Epoch>> epochs();

  /// By expiry, then type.
  [[nodiscard]] sqlite::Result<std::vector<PublicKeyRow>> public_keys();
  /// Nothing where there is no such key.
  [[nodiscard]] sqlite::Result<std::optional<Secret<32>>> signing_key(EpochId epoch,
                                                                      TicketType type);

  [[nodiscard]] sqlite::Result<TokenId> add_token(const crypto::Sha256Digest& hash,
                                                  const std::string& label,
                                                  const Allowances& allowances, UnixSeconds now);
  /// A token that is not revoked.
  [[nodiscard]] sqlite::Result<std::optional<TokenId>> find_token(const crypto::Sha256Digest& hash);
  [[nodiscard]] sqlite::Result<std::vector<TokenRow>> tokens();
  /// False where there is no such token, or it was revoked before.
  [[nodiscard]] sqlite::Result<bool> revoke_token(TokenId id, UnixSeconds now);

  /// Charges and records all points in one durable transaction, before anything is signed. A point
  /// that this token had signed before, in this epoch for this type, costs nothing again; all or
  /// none of the others are charged.
  [[nodiscard]] sqlite::Result<std::expected<Withdrawn, WithdrawalRefusal>> withdraw(
      const WithdrawalRequest& request, UnixSeconds now);

 private:
  /// The statements that serve requests, prepared once.
  enum class Sql : std::uint8_t {
    select_token,
    select_live_token,
    select_epoch,
    has_withdrawal,
    insert_withdrawal,
    select_allowance,
    select_type_allowance,
    charge_token,
    charge_type,
    select_keys,
    select_secret,
    select_epochs,
  };
  static constexpr std::size_t sql_count = static_cast<std::size_t>(Sql::select_epochs) + 1;

  explicit Store(sqlite::Connection connection) : connection_(std::move(connection)) {}
  [[nodiscard]] sqlite::Statement& statement(Sql sql) noexcept {
    return statements_[static_cast<std::size_t>(sql)];
  }
  sqlite::Status prepare();
  /// Runs `work` between BEGIN IMMEDIATE and COMMIT; rolls back where it fails.
  template <typename Work>
  auto in_transaction(Work work) -> decltype(work()) {
    if (auto begun = connection_.execute("BEGIN IMMEDIATE"); !begun) {
      return std::unexpected(std::move(begun.error()));
    }
    auto result = work();
    sqlite::Status ended;
    if (result) ended = connection_.execute("COMMIT");
    if (connection_.in_transaction()) std::ignore = connection_.execute("ROLLBACK");
    if (!ended) return std::unexpected(std::move(ended.error()));
    return result;
  }

  sqlite::Status rotate_now(const Authority& authority, UnixSeconds now);
  sqlite::Status mark(const Epoch& epoch, std::optional<UnixSeconds> expired_since);
  sqlite::Status remove(const Epoch& epoch);
  [[nodiscard]] sqlite::Result<Epoch> insert_epoch(UnixSeconds expiry);
  sqlite::Status insert_key(EpochId epoch, TicketType type);
  [[nodiscard]] sqlite::Result<std::optional<WithdrawalRefusal>> refusal(
      const WithdrawalRequest& request, UnixSeconds now);
  [[nodiscard]] sqlite::Result<std::vector<crypto::G1Encoding>> new_points(
      const WithdrawalRequest& request);
  [[nodiscard]] sqlite::Result<bool> can_charge(const WithdrawalRequest& request,
                                                std::int64_t count);
  sqlite::Status charge(const WithdrawalRequest& request,
                        std::span<const crypto::G1Encoding> points);

  // Statements are finalised before their connection is closed.
  sqlite::Connection connection_;
  std::array<sqlite::Statement, sql_count> statements_;
};

}  // namespace lp::issuer
