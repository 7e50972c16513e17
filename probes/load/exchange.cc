#include "probes/load/exchange.h"

namespace lp::probe::load {
namespace {

using Clock = std::chrono::steady_clock;
using client::Progress;

Registrant registrant_for(const wallet::SpendableTicket& ticket, bool dvpn,
                          messages::TicketType type) {
  if (const auto* before = ticket.sent_with()) return before->clone();
  return dvpn ? Registrant::make_dvpn(type) : Registrant::make_mixnet(type);
}

/// done, of a step that says what it waits for. What that is need not be told apart: the socket is
/// watched for both.
Outcome<bool> is_done(const Outcome<Progress>& progress) {
  if (!progress) return std::unexpected(progress.error());
  return *progress == Progress::done;
}

}  // namespace

Exchange::Exchange(const ExchangePlan& plan, bool dvpn, messages::TicketType type,
                   std::unique_ptr<wallet::SpendableTicket> ticket)
    : plan_(&plan),
      client_(plan.gateway_key, {.source = plan.source}),
      ticket_(std::move(ticket)),
      registrant_(registrant_for(*ticket_, dvpn, type)) {}

bool Exchange::begin(MonotonicTime now) {
  deadline_ = now + plan_->connect_timeout;
  auto started = client_.start_connect(plan_->gateway);
  if (!started) end(std::move(started.error()));
  return error_.has_value();
}

bool Exchange::advance(bool writable) {
  while (true) {
    const Step before = step_;
    auto done = step(writable);
    if (!done) {
      end(std::move(done.error()));
      return true;
    }
    if (!*done) return false;
    if (before == Step::response) {
      client_.close();
      return true;
    }
  }
}

Outcome<bool> Exchange::step(bool writable) {
  switch (step_) {
    case Step::connect:
      return connect(writable);
    case Step::handshake:
      return handshake();
    case Step::request:
      return request();
    case Step::response:
      break;
  }
  return response();
}

Outcome<bool> Exchange::connect(bool writable) {
  if (!writable) return false;
  if (auto connected = client_.advance_connect(); !connected) {
    return std::unexpected(std::move(connected.error()));
  }
  step_ = Step::handshake;
  deadline_ = Clock::now() + plan_->handshake_timeout;
  return true;
}

Outcome<bool> Exchange::handshake() {
  auto done = is_done(client_.advance_handshake());
  if (done && *done) step_ = Step::request;
  return done;
}

Outcome<bool> Exchange::request() {
  if (!request_) {
    if (auto made = make_request(); !made) return std::unexpected(std::move(made.error()));
  }
  auto done = is_done(client_.advance_request(*request_));
  if (done && *done) step_ = Step::response;
  return done;
}

Outcome<void> Exchange::make_request() {
  // First on the disk, then on the wire. The disk's time is not the gateway's.
  if (auto noted = ticket_->sending(registrant_); !noted) {
    noted.error().stage = Stage::request;
    return noted;
  }
  request_begun_ = Clock::now();
  deadline_ = *request_begun_ + plan_->registration_timeout;
  request_ = lp::probe::make_request(registrant_, ticket_->credential(), client_.local().ip(),
                                     SystemWallClock().now());
  return {};
}

Outcome<bool> Exchange::response() {
  const auto response = client_.advance_response();
  if (!response) return std::unexpected(response.error());
  if (!*response) return false;
  auto judged = client::judge(**response, registrant_.mode);
  note(ticket_->answered(**response));
  if (!judged) return std::unexpected(std::move(judged.error()));
  return true;
}

void Exchange::expire() {
  end(client_.timed_out());
}

void Exchange::end(ProbeError error) {
  // Begun and not all of it written: nobody can have read the ticket.
  if (request_ && !client_.times().request_sent) note(ticket_->unsent());
  error_ = std::move(error);
  client_.close();
}

void Exchange::note(Outcome<void> noted) {
  if (!noted) wallet_error_ = std::move(noted.error());
}

}  // namespace lp::probe::load
