// A run: every target, some at the same time, as often as wanted; each attempt reported as it ends.
#pragma once

#include <functional>
#include <mutex>

#include "probes/client/packet_observer.h"
#include "probes/options/settings.h"
#include "probes/report/report.h"

namespace lp::probe {

/// True where a ticket may go to a gateway whose identity comes from `source`: a mock ticket to
/// any, a real one not to an identity that only the network vouches for.
[[nodiscard]] constexpr bool may_send_ticket(report::IdentitySource source, bool mock) noexcept {
  using enum report::IdentitySource;
  return mock || source == given || source == http_trusted || source == http_expected;
}

class Runner {
 public:
  /// All outlive the runner. `cancel_fd` becomes readable when the run is to end; `observer` may be
  /// null, and is used by one thread only where `settings.parallel` is 1.
  Runner(const options::Settings& settings, wallet::BandwidthController& tickets,
         report::Writer& writer, client::PacketObserver* observer, int cancel_fd);

  /// Probes all targets and returns the exit status, before --fail-on.
  [[nodiscard]] int run();

 private:
  struct Located;

  /// One more attempt; `left` with this one are still to come.
  using Once = std::function<Attempt(std::uint64_t left)>;

  /// All, --parallel of them at one time.
  [[nodiscard]] int run_targets();
  [[nodiscard]] int run_target(const std::optional<Target>& target);
  /// The tunnel of --wg-config, without a registration.
  [[nodiscard]] int run_tunnel();
  /// Repeats as often as wanted, and reports each attempt.
  void repeat(const Located& located, const Once& once, report::TargetReport& report, int& status);
  [[nodiscard]] Outcome<Located> locate(const std::optional<Target>& target);
  [[nodiscard]] Attempt attempt(const Located& located, Registrant& registrant,
                                wallet::SpendableTickets& stock, std::uint64_t left);
  void attempts(const Located& located, report::TargetReport& report, int& status);
  void explain(const Located& located, report::AttemptReport& report);
  [[nodiscard]] int write_wg_config(const Plan& plan, const Registrant& registrant,
                                    const Attempt& attempt) const;
  [[nodiscard]] bool cancelled() const;

  const options::Settings& settings_;
  wallet::BandwidthController& tickets_;
  std::mutex writing_;  ///< one thread at a time uses the writer
  report::Writer& writer_;
  client::PacketObserver* observer_;
  int cancel_fd_;
};

}  // namespace lp::probe
