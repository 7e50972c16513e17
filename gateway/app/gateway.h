// All parts of a gateway, started in order and shut down in the reverse of it.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"
#include "gateway/ecash/verifier.h"
#include "gateway/wireguard/controller.h"
#include "lib/base/clock.h"

namespace lp::gateway::app {

/// What a test puts in place of a part. An empty function means the part that the settings name.
struct Overrides {
  std::function<std::unique_ptr<wireguard::Backend>(const Settings&)> make_backend;
  std::function<std::unique_ptr<ecash::Verifier>(const Settings&)> make_verifier;
  std::function<std::unique_ptr<WallClock>()> make_clock;
  /// One transaction for each registration: what the benchmark compares with.
  bool commit_each_registration = false;
};

/// Whether the settings can start a gateway, as far as that can be told without starting it: that
/// they go together, that their parts are in this version, that the limit of open files allows
/// them.
[[nodiscard]] std::expected<void, Refusal> check_settings(const Settings& settings);

class Gateway {
 public:
  /// Starts everything; it serves when this returns. Refusals name what is in the way.
  [[nodiscard]] static std::expected<std::unique_ptr<Gateway>, Refusal> start(
      const Settings& settings, const Overrides& overrides = {});
  /// Shuts down without grace where shut_down() was not called.
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  [[nodiscard]] std::string lp_address() const;    ///< "ADDR:PORT" as bound
  [[nodiscard]] std::string http_address() const;  ///< "ADDR:PORT" as bound
  [[nodiscard]] std::string identity() const;      ///< base58

  /// Takes over what is reloadable of `settings`. Fails, and changes nothing, where the limit of
  /// open files does not allow max_connections.
  [[nodiscard]] std::expected<void, Refusal> reload(const Settings& settings);

  /// Stops accepting, lets what runs end within `grace`, finishes what the storage has begun.
  void shut_down(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::gateway::app
