#include "probes/wallet/make_controller.h"

#include "probes/wallet/wallet_controller.h"

namespace lp::probe::wallet {

std::optional<Source> make_source(const options::Settings& settings, int cancel_fd) {
  if (!settings.issuer || !settings.chain_url) return std::nullopt;
  return Source{.chain = *settings.chain_url,
                .contract = settings.ecash_contract,
                .issuer = *settings.issuer,
                .token_file = settings.issuer_token_file,
                .limit = std::chrono::ceil<std::chrono::milliseconds>(settings.ecash_timeout),
                .cancel_fd = cancel_fd};
}

std::unique_ptr<BandwidthController> make_controller(const options::Settings& settings,
                                                     int cancel_fd) {
  if (settings.use_mock_ecash) return make_mock_controller();
  return std::make_unique<WalletController>(settings.wallet, make_source(settings, cancel_fd));
}

}  // namespace lp::probe::wallet
