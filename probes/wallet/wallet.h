// The wallet: tickets in an SQLite file, across crashes and between processes (docs/ecash.md,
// "Wallet").
//
// Each call that changes a state has committed when it returns; the caller makes it before the
// network write that it stands for. Any number of threads and processes may use one file.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/ecash/withdrawal.h"
#include "lib/net/verification_keys.h"
#include "probes/wallet/database.h"
#include "probes/wallet/leases.h"
#include "probes/wallet/ticket.h"

namespace lp::probe::wallet {

/// A ticket that is this holder's alone until it goes.
struct HeldTicket {
  Lease lease;
  Ticket ticket;
};

/// A withdrawal that is this holder's alone until it goes.
struct HeldWithdrawal {
  Lease lease;
  std::uint64_t epoch_id = 0;
  ecash::Withdrawal withdrawal;
};

/// Which tickets are meant.
struct Wanted {
  crypto::Identity gateway;
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  UnixSeconds now = 0;  ///< those that have expired then are passed over
};

/// Errors: those of open_wallet_file; wallet_corrupt also where a row makes no sense.
class Wallet {
 public:
  [[nodiscard]] static Outcome<std::unique_ptr<Wallet>> open(const std::filesystem::path& path);

  /// All tickets, in the order in which they were drawn.
  [[nodiscard]] Outcome<std::vector<Ticket>> list();

  // Withdrawal.
  /// Draws `count` tickets under `key`: requested.
  [[nodiscard]] Outcome<std::vector<HeldWithdrawal>> request(const Wanted& wanted,
                                                             const net::ChainKey& key,
                                                             std::size_t count);
  /// At most `count` that were requested before and never came, oldest first.
  [[nodiscard]] Outcome<std::vector<HeldWithdrawal>> resume(const Wanted& wanted,
                                                            std::size_t count);
  /// requested → unspent; the blinding factor is erased from the file and its log.
  [[nodiscard]] Outcome<HeldTicket> keep(HeldWithdrawal withdrawal,
                                         const messages::Credential& credential);

  // Spending.
  /// At most `count` unspent ones, those that expire first coming first.
  [[nodiscard]] Outcome<std::vector<HeldTicket>> hold(const Wanted& wanted, std::size_t count);
  /// At most `count` that were sent and not answered, oldest first.
  [[nodiscard]] Outcome<std::vector<HeldTicket>> hold_unanswered(const Wanted& wanted,
                                                                 std::size_t count);
  /// unspent → sent, and sent → sent with what it was sent with before: `registrant` must be that.
  /// Fails with `internal` where it is not, or where the ticket is in another state by now.
  [[nodiscard]] Outcome<void> take(HeldTicket& held, const Registrant& registrant);
  /// sent → spent, void, unspent, or still sent, each with the gateway's words.
  [[nodiscard]] Outcome<void> settle(HeldTicket& held, TicketState state, std::string_view reason);
  /// unspent → exported.
  [[nodiscard]] Outcome<void> take_out(HeldTicket& held);
  /// The ticket with this number, whatever its state; no ticket where there is none, or where
  /// another process holds it.
  [[nodiscard]] Outcome<std::optional<HeldTicket>> find(std::int64_t id);

 private:
  Wallet(Database database, std::shared_ptr<Leases> leases)
      : database_(std::move(database)), leases_(std::move(leases)) {}

  [[nodiscard]] Outcome<std::vector<std::int64_t>> ids(const Wanted& wanted, TicketState state);
  [[nodiscard]] Outcome<std::vector<HeldTicket>> hold_in(const Wanted& wanted, TicketState state,
                                                         std::size_t count);
  [[nodiscard]] Outcome<std::optional<HeldTicket>> hold_one(std::int64_t id);
  [[nodiscard]] Outcome<Ticket> read(Statement& row) const;
  [[nodiscard]] Outcome<HeldWithdrawal> insert(const Wanted& wanted, const net::ChainKey& key);
  [[nodiscard]] Outcome<std::optional<HeldWithdrawal>> resume_one(std::int64_t id);

  std::mutex mutex_;
  Database database_;
  std::shared_ptr<Leases> leases_;
};

}  // namespace lp::probe::wallet
