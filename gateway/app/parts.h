// The parts that settings choose among.
#pragma once

#include <expected>
#include <memory>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"
#include "gateway/ecash/verifier.h"
#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"

namespace lp::gateway::app {

/// Fails with configuration where the settings name a part that this version does not have.
[[nodiscard]] std::expected<void, Refusal> check_parts(const Settings& settings);

[[nodiscard]] std::expected<std::unique_ptr<wireguard::Backend>, Refusal> make_backend(
    const Settings& settings);
[[nodiscard]] std::expected<std::unique_ptr<ecash::Verifier>, Refusal> make_verifier(
    const Settings& settings);
[[nodiscard]] std::expected<std::unique_ptr<storage::Storage>, Refusal> open_storage(
    const Settings& settings, bool commit_each_registration = false);

}  // namespace lp::gateway::app
