// Tickets from the wallet, and from the issuer where the wallet has too few.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "probes/wallet/bandwidth_controller.h"
#include "probes/wallet/issuer.h"
#include "probes/wallet/wallet.h"

namespace lp::probe::wallet {

class WalletController final : public BandwidthController {
 public:
  /// The file is opened at the first use. Without a source there are only the tickets that the
  /// wallet has.
  WalletController(std::filesystem::path path, std::optional<Source> source)
      : path_(std::move(path)), source_(std::move(source)) {}

  /// Errors: the wallet's, the source's, no_ticket where there is no source, ticket_invalid where
  /// the issuer's signature is not one under the chain's key. A ticket that did not come stays
  /// requested, and the next call asks for it again before it draws another.
  [[nodiscard]] Outcome<SpendableTickets> get_ecash_ticket(messages::TicketType type,
                                                           const crypto::Identity& gateway,
                                                           std::size_t count) override;

  /// Withdraws `count` tickets, those first that were requested before. What came before an error
  /// is in the wallet. Needs a source.
  [[nodiscard]] Outcome<std::vector<HeldTicket>> withdraw(const Wanted& wanted, std::size_t count);

  [[nodiscard]] Outcome<Wallet*> wallet();

 private:
  [[nodiscard]] Outcome<Wallet*> open_wallet();
  [[nodiscard]] Outcome<std::vector<HeldTicket>> withdraw_locked(const Wanted& wanted,
                                                                 std::size_t count);
  [[nodiscard]] Outcome<void> finish_requested(const Wanted& wanted, std::size_t count,
                                               std::vector<HeldTicket>& kept);
  [[nodiscard]] Outcome<void> sign_and_keep(const net::ChainKey& key,
                                            std::vector<HeldWithdrawal> withdrawals,
                                            std::vector<HeldTicket>& kept);
  [[nodiscard]] bool is_current(const net::ChainKey& key, const Wanted& wanted) const;
  [[nodiscard]] Outcome<void> refresh_keys();
  void tell_where_from();

  std::filesystem::path path_;
  std::optional<Source> source_;
  std::mutex mutex_;
  std::unique_ptr<Wallet> wallet_;
  std::vector<net::ChainKey> keys_;
  std::optional<MonotonicTime> keys_read_;
  bool told_ = false;
};

}  // namespace lp::probe::wallet
