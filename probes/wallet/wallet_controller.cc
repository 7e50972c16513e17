#include "probes/wallet/wallet_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "probes/log.h"

namespace lp::probe::wallet {
namespace {

/// Keys change with epochs; a run over many gateways need not ask for each.
constexpr std::chrono::minutes keys_stay_fresh{1};

class WalletTicket final : public SpendableTicket {
 public:
  WalletTicket(Wallet& wallet, HeldTicket held) : wallet_(wallet), held_(std::move(held)) {}

  [[nodiscard]] messages::Credential credential() const override {
    return held_.ticket.credential();
  }
  [[nodiscard]] const Registrant* sent_with() const noexcept override {
    return held_.ticket.sent_with ? &*held_.ticket.sent_with : nullptr;
  }
  [[nodiscard]] Outcome<void> sending(const Registrant& registrant) override {
    return wallet_.take(held_, registrant);
  }

  // A ticket that was sent before stays sent: the gateway may have read it then.
  [[nodiscard]] Outcome<void> unsent() override {
    const auto state = held_.ticket.sends > 1 ? TicketState::sent : TicketState::unspent;
    return wallet_.settle(held_, state, "");
  }

  [[nodiscard]] Outcome<void> answered(const messages::RegistrationResponse& response) override {
    if (response.success) return wallet_.settle(held_, TicketState::spent, "");
    const std::string reason = response.error.value_or("refused without a reason");
    const auto state = state_after_refusal(reason, held_.ticket.sends);
    if (state == TicketState::voided) {
      log::warning(fmt::format("ticket {} is void: {}", held_.ticket.id, printable(reason)));
    }
    return wallet_.settle(held_, state, reason);
  }

 private:
  Wallet& wallet_;
  HeldTicket held_;
};

void warn(const ProbeError& error) {
  log::warning(fmt::format("{}: {}", name(error.code), error.detail));
}

bool same_address(const net::Url& a, const net::Url& b) {
  return a.host == b.host && a.port == b.port;
}

}  // namespace

Outcome<Wallet*> WalletController::wallet() {
  const std::lock_guard lock(mutex_);
  return open_wallet();
}

Outcome<Wallet*> WalletController::open_wallet() {
  if (wallet_) return wallet_.get();
  if (path_.empty()) {
    return fail(Stage::resolve, ProbeCode::wallet_unusable,
                "there is no home directory to keep it in; name it with --wallet");
  }
  auto opened = Wallet::open(path_);
  if (!opened) return std::unexpected(std::move(opened.error()));
  wallet_ = std::move(*opened);
  return wallet_.get();
}

Outcome<SpendableTickets> WalletController::get_ecash_ticket(messages::TicketType type,
                                                             const crypto::Identity& gateway,
                                                             std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto wallet = open_wallet();
  if (!wallet) return std::unexpected(wallet.error());
  const Wanted wanted{.gateway = gateway, .type = type, .now = SystemWallClock().now()};
  SpendableTickets tickets;
  const auto take_all = [&](std::vector<HeldTicket> held) {
    for (auto& one : held)
      tickets.push_back(std::make_unique<WalletTicket>(**wallet, std::move(one)));
  };
  auto unanswered = (*wallet)->hold_unanswered(wanted, count);
  if (!unanswered) return std::unexpected(std::move(unanswered.error()));
  if (!unanswered->empty()) {
    log::info(
        fmt::format("{} tickets were sent before and not answered; sending them again with "
                    "the same key",
                    unanswered->size()));
  }
  take_all(std::move(*unanswered));
  auto unspent = (*wallet)->hold(wanted, count - tickets.size());
  if (!unspent) return std::unexpected(std::move(unspent.error()));
  take_all(std::move(*unspent));
  if (tickets.size() >= count) return tickets;
  auto withdrawn = withdraw_locked(wanted, count - tickets.size());
  // An allowance that does not reach for all of them may do for one.
  const bool too_many = !withdrawn && withdrawn.error().code == ProbeCode::issuer_allowance;
  if (too_many && tickets.empty() && count > 1) withdrawn = withdraw_locked(wanted, 1);
  if (withdrawn) {
    take_all(std::move(*withdrawn));
    return tickets;
  }
  // What came before the error is in the wallet. It does for now; the next call fails if the
  // trouble lasts.
  auto came = (*wallet)->hold(wanted, count - tickets.size());
  if (!came) return std::unexpected(std::move(came.error()));
  take_all(std::move(*came));
  if (tickets.empty()) return std::unexpected(std::move(withdrawn.error()));
  if (source_) warn(withdrawn.error());
  return tickets;
}

Outcome<std::vector<HeldTicket>> WalletController::withdraw(const Wanted& wanted,
                                                            std::size_t count) {
  const std::lock_guard lock(mutex_);
  if (const auto wallet = open_wallet(); !wallet) return std::unexpected(wallet.error());
  return withdraw_locked(wanted, count);
}

Outcome<std::vector<HeldTicket>> WalletController::withdraw_locked(const Wanted& wanted,
                                                                   std::size_t count) {
  if (!source_) {
    return fail(Stage::resolve, ProbeCode::no_ticket,
                fmt::format("no {} for {} in {}, and no --issuer to get one from",
                            messages::name(wanted.type), wanted.gateway.to_base58(),
                            printable(path_.string())));
  }
  tell_where_from();
  if (auto read = refresh_keys(); !read) return std::unexpected(std::move(read.error()));
  std::vector<HeldTicket> kept;
  if (auto finished = finish_requested(wanted, count, kept); !finished) {
    return std::unexpected(std::move(finished.error()));
  }
  while (kept.size() < count) {
    const auto key = choose_key(keys_, wanted.type, wanted.now);
    if (!key) return std::unexpected(key.error());
    auto drawn = wallet_->request(wanted, *key, std::min(count - kept.size(), max_batch));
    if (!drawn) return std::unexpected(std::move(drawn.error()));
    if (auto done = sign_and_keep(*key, std::move(*drawn), kept); !done) {
      return std::unexpected(std::move(done.error()));
    }
  }
  return kept;
}

/// Those that were requested under a key that the chain no longer has are left alone: nothing that
/// the issuer could answer can be verified.
Outcome<void> WalletController::finish_requested(const Wanted& wanted, std::size_t count,
                                                 std::vector<HeldTicket>& kept) {
  auto requested = wallet_->resume(wanted, count);
  if (!requested) return std::unexpected(std::move(requested.error()));
  std::map<UnixSeconds, std::vector<HeldWithdrawal>> by_expiry;
  for (auto& one : *requested) {
    by_expiry[one.withdrawal.message().expiry].push_back(std::move(one));
  }
  for (auto& [expiry, withdrawals] : by_expiry) {
    const auto key = std::ranges::find_if(keys_, [&](const net::ChainKey& candidate) {
      return candidate.type == wanted.type && candidate.expiry == expiry;
    });
    if (key == keys_.end()) {
      log::warning(fmt::format("the chain has no key any more for {} tickets that were requested",
                               withdrawals.size()));
      continue;
    }
    while (!withdrawals.empty()) {
      const auto size = std::min(withdrawals.size(), max_batch);
      const auto end = withdrawals.begin() + static_cast<std::ptrdiff_t>(size);
      std::vector<HeldWithdrawal> batch(std::make_move_iterator(withdrawals.begin()),
                                        std::make_move_iterator(end));
      withdrawals.erase(withdrawals.begin(), end);
      auto done = sign_and_keep(*key, std::move(batch), kept);
      if (done) continue;
      // An epoch that the issuer no longer signs for does not stand in the way of the current one.
      if (done.error().code != ProbeCode::issuer_refused || is_current(*key, wanted)) return done;
      warn(done.error());
    }
  }
  return {};
}

/// Whether new tickets are drawn under this key.
bool WalletController::is_current(const net::ChainKey& key, const Wanted& wanted) const {
  const auto chosen = choose_key(keys_, wanted.type, wanted.now);
  return chosen && chosen->expiry == key.expiry;
}

Outcome<void> WalletController::sign_and_keep(const net::ChainKey& key,
                                              std::vector<HeldWithdrawal> withdrawals,
                                              std::vector<HeldTicket>& kept) {
  std::vector<crypto::G1Encoding> blinded;
  blinded.reserve(withdrawals.size());
  for (const auto& one : withdrawals)
    blinded.push_back(one.withdrawal.blinded());
  const auto signatures = ask_issuer(*source_, withdrawals.front().epoch_id, key.type, blinded);
  if (!signatures) return std::unexpected(signatures.error());
  const ecash::VerificationKey verification_key(key.public_key);
  // One signature that is wrong does not lose the others.
  std::optional<ProbeError> first_error;
  for (std::size_t i = 0; i < withdrawals.size(); ++i) {
    const auto id = withdrawals[i].lease.id();
    const auto credential = withdrawals[i].withdrawal.finish((*signatures)[i], verification_key);
    if (!credential) {
      if (!first_error) {
        first_error = ProbeError{Stage::resolve, ProbeCode::ticket_invalid,
                                 fmt::format("ticket {}: {}: {}", id, name(credential.error()),
                                             gloss(credential.error()))};
      }
      continue;
    }
    auto ticket = wallet_->keep(std::move(withdrawals[i]), *credential);
    if (!ticket) return std::unexpected(std::move(ticket.error()));
    kept.push_back(std::move(*ticket));
  }
  if (first_error) return std::unexpected(std::move(*first_error));
  return {};
}

Outcome<void> WalletController::refresh_keys() {
  const auto now = std::chrono::steady_clock::now();
  if (keys_read_ && now - *keys_read_ < keys_stay_fresh) return {};
  auto keys = ask_chain(*source_);
  if (!keys) return std::unexpected(std::move(keys.error()));
  keys_ = std::move(*keys);
  keys_read_ = now;
  return {};
}

// An issuer that also says which keys are everybody's can give each client a key of its own, and
// know its tickets by that.
void WalletController::tell_where_from() {
  if (told_) return;
  told_ = true;
  if (!same_address(source_->chain, source_->issuer)) return;
  log::warning(fmt::format(
      "chain and issuer are one address ({}): only its word says that others have the same keys",
      printable(source_->issuer.to_string())));
}

}  // namespace lp::probe::wallet
