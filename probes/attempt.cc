#include "probes/attempt.h"

#include <type_traits>

namespace lp::probe {
namespace {

using Clock = std::chrono::steady_clock;

/// Carries an attempt through its stages and keeps the time of each.
class Run {
 public:
  Run(const Plan& plan, const Registrant& registrant, wallet::SpendableTicket& ticket)
      : plan_(plan), registrant_(registrant), ticket_(ticket) {}

  Attempt go() {
    attempt_.started = SystemWallClock().now();
    if (auto done = stages(); !done) {
      attempt_.error = std::move(done.error());
    }
    for (const auto& time : attempt_.times) {
      if (time) attempt_.total += *time;
    }
    return std::move(attempt_);
  }

 private:
  Outcome<void> stages() {
    auto addresses = timed(Stage::resolve, [&] {
      return resolve(plan_.host, plan_.port, plan_.family, in(plan_.resolve_timeout),
                     plan_.cancel_fd);
    });
    if (!addresses) return std::unexpected(std::move(addresses.error()));
    attempt_.addresses = std::move(*addresses);
    const auto key = plan_.identity.to_x25519();
    if (!key) {
      return fail(Stage::client_hello, ProbeCode::gateway_key_invalid,
                  std::string(gloss(key.error())));
    }
    auto connected = timed(Stage::connect, [&] { return connect(*key); });
    if (!connected) return connected;
    attempt_.local = client_->local();
    if (auto done = handshake(); !done) return done;
    return registration();
  }

  /// Tries the addresses in order. Each gets its share of the time that is left, so that a first
  /// address that swallows packets leaves some to the second.
  Outcome<void> connect(const crypto::X25519Public& key) {
    const MonotonicTime deadline = in(plan_.connect_timeout);
    std::optional<ProbeError> first_error;
    for (std::size_t i = 0; i < attempt_.addresses.size(); ++i) {
      attempt_.remote = attempt_.addresses[i];
      const auto now = Clock::now();
      const auto left = static_cast<Clock::rep>(attempt_.addresses.size() - i);
      client_.emplace(key, client::ClientOptions{.source = plan_.source,
                                                 .observer = plan_.observer,
                                                 .cancel_fd = plan_.cancel_fd});
      auto connected = client_->connect(attempt_.remote, now + (deadline - now) / left);
      if (connected) return connected;
      const bool interrupted = connected.error().code == ProbeCode::interrupted;
      if (!first_error || interrupted) first_error = std::move(connected.error());
      if (interrupted || Clock::now() >= deadline) break;
    }
    attempt_.remote = attempt_.addresses.front();
    return std::unexpected(std::move(*first_error));
  }

  Outcome<void> handshake() {
    const auto begin = Clock::now();
    auto done = client_->perform_handshake(in(plan_.handshake_timeout));
    const auto end = Clock::now();
    attempt_.lp_id = client_->lp_id();
    const auto& times = client_->times();
    // What was not sent, or was sent and refused, counts as ClientHello's time.
    const bool at_hello = !times.hello_sent || (!done && done.error().stage == Stage::client_hello);
    const auto hello_end = at_hello ? end : *times.hello_sent;
    set(Stage::client_hello, hello_end - begin);
    if (!at_hello) set(Stage::handshake, end - hello_end);
    return done;
  }

  Outcome<void> registration() {
    // First on the disk, then on the wire. The disk's time is not the gateway's.
    if (auto noted = ticket_.sending(registrant_); !noted) {
      return at_stage(Stage::request, std::move(noted));
    }
    const MonotonicTime deadline = in(plan_.registration_timeout);
    auto sent = timed(Stage::request, [&] {
      const UnixSeconds now = SystemWallClock().now();
      return client_->send_registration_request(
          make_request(registrant_, ticket_.credential(), client_->local().ip(), now), deadline);
    });
    if (!sent) {
      note(ticket_.unsent());
      return sent;
    }
    auto judged = timed(Stage::response, [&]() -> Outcome<void> {
      auto response = client_->receive_registration_response(deadline);
      if (!response) return std::unexpected(std::move(response.error()));
      attempt_.response = std::move(*response);
      return client::judge(*attempt_.response, registrant_.mode);
    });
    if (attempt_.response) note(ticket_.answered(*attempt_.response));
    return judged;
  }

  static Outcome<void> at_stage(Stage stage, Outcome<void> outcome) {
    if (!outcome) outcome.error().stage = stage;
    return outcome;
  }

  void note(Outcome<void> noted) {
    if (!noted) attempt_.wallet_error = std::move(noted.error());
  }

  template <typename Step>
  std::invoke_result_t<Step> timed(Stage stage, Step step) {
    const auto begin = Clock::now();
    auto result = step();
    set(stage, Clock::now() - begin);
    return result;
  }

  void set(Stage stage, Clock::duration time) {
    attempt_.times[static_cast<std::size_t>(stage)] = time;
  }

  [[nodiscard]] static MonotonicTime in(std::chrono::nanoseconds time) {
    return Clock::now() + time;
  }

  const Plan& plan_;
  const Registrant& registrant_;
  wallet::SpendableTicket& ticket_;
  Attempt attempt_;
  std::optional<client::LpRegistrationClient> client_;
};

}  // namespace

Attempt run_attempt(const Plan& plan, const Registrant& registrant,
                    wallet::SpendableTicket& ticket) {
  return Run(plan, registrant, ticket).go();
}

}  // namespace lp::probe
