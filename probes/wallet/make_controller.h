// The settings' way to tickets.
#pragma once

#include <memory>
#include <optional>

#include "probes/options/settings.h"
#include "probes/wallet/bandwidth_controller.h"
#include "probes/wallet/issuer.h"

namespace lp::probe::wallet {

/// Nothing where the settings name no issuer.
[[nodiscard]] std::optional<Source> make_source(const options::Settings& settings, int cancel_fd);

/// The mock's with --use-mock-ecash, else the wallet's. Touches neither file nor network.
[[nodiscard]] std::unique_ptr<BandwidthController> make_controller(
    const options::Settings& settings, int cancel_fd);

}  // namespace lp::probe::wallet
