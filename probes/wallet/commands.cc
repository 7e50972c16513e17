#include "probes/wallet/commands.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <system_error>

#include "lib/base/encoding.h"
#include "probes/log.h"
#include "probes/wallet/make_controller.h"
#include "probes/wallet/wallet_controller.h"

namespace lp::probe::wallet {
namespace {

namespace json = boost::json;
using options::Settings;
using options::WalletCommand;

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

int report(const ProbeError& error) {
  const auto& row = entry(error.code);
  fmt::print(stderr, "lp-probe: {}: {}\n  {}\n  hint: {}\n", row.name, error.detail, row.meaning,
             row.hint);
  return row.exit_status;
}

/// "2026-11-21T17:04:05Z"; the number where the calendar has no such day.
std::string format_time(UnixSeconds time) {
  constexpr UnixSeconds end_of_9999 = 253'402'300'799;
  if (time > end_of_9999) return fmt::format("{}", time);
  return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(time)));
}

/// Why a ticket is not what its state says, for people.
std::string note(const Ticket& ticket, UnixSeconds now) {
  const bool matters = ticket.state == TicketState::requested ||
                       ticket.state == TicketState::unspent || ticket.state == TicketState::sent;
  if (matters && ticket.has_expired(now)) return "expired";
  if (ticket.state == TicketState::sent && ticket.reason.empty()) return "not answered";
  return ticket.reason;
}

json::object describe(const Ticket& ticket, UnixSeconds now) {
  return {{"id", ticket.id},
          {"state", view(name(ticket.state))},
          {"expired", ticket.has_expired(now)},
          {"gateway", ticket.message.gateway.to_base58()},
          {"ticket_type", view(messages::name(ticket.message.type))},
          {"epoch_id", ticket.epoch_id},
          {"bandwidth_amount", ticket.message.bandwidth_amount},
          {"expiry", ticket.message.expiry},
          {"sends", ticket.sends},
          {"reason", ticket.reason},
          {"created", ticket.created},
          {"changed", ticket.changed}};
}

/// All that is needed to spend it.
json::object disclose(const Ticket& ticket, UnixSeconds now) {
  auto object = describe(ticket, now);
  object["nullifier"] = to_base64(ticket.message.nullifier);
  object["signature"] = to_base64(ticket.signature);
  object["wireguard_private_key"] = nullptr;
  object["client_id"] = nullptr;
  if (ticket.sent_with) {
    object["wireguard_private_key"] = to_base64(ticket.sent_with->wireguard.secret.bytes());
    if (const auto* mixnet = std::get_if<messages::Mixnet>(&ticket.sent_with->mode)) {
      object["client_id"] = to_base64(mixnet->client_id);
    }
  }
  return object;
}

void print(std::FILE* out, const json::array& array) {
  fmt::print(out, "{}\n", json::serialize(array));
}

void print(std::FILE* out, const Settings& settings, const std::vector<const Ticket*>& tickets) {
  const auto now = SystemWallClock().now();
  if (settings.format == options::Format::json) {
    json::array array;
    for (const auto* ticket : tickets)
      array.push_back(describe(*ticket, now));
    return print(out, array);
  }
  if (tickets.empty()) return;
  fmt::print(out, "{:>6}  {:<9}  {:<16}  {:<20}  {:<44}  {}\n", "ID", "STATE", "TYPE", "EXPIRY",
             "GATEWAY", "NOTE");
  for (const auto* ticket : tickets) {
    const auto line =
        fmt::format("{:>6}  {:<9}  {:<16}  {:<20}  {:<44}  {}", ticket->id, name(ticket->state),
                    messages::name(ticket->message.type), format_time(ticket->message.expiry),
                    ticket->message.gateway.to_base58(), note(*ticket, now));
    fmt::print(out, "{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
}

bool is_meant(const Ticket& ticket, const Settings& settings) {
  const auto& command = *settings.wallet_command;
  return (!command.gateway || ticket.message.gateway == *command.gateway) &&
         (!settings.ticket_type || ticket.message.type == *settings.ticket_type);
}

int list(const Settings& settings, WalletController& controller, std::FILE* out) {
  // Looking makes no file.
  std::error_code error;
  if (!settings.wallet.empty() && !std::filesystem::exists(settings.wallet, error) && !error) {
    print(out, settings, {});
    return exit_status::ok;
  }
  const auto wallet = controller.wallet();
  if (!wallet) return report(wallet.error());
  const auto tickets = (*wallet)->list();
  if (!tickets) return report(tickets.error());
  std::vector<const Ticket*> meant;
  for (const auto& ticket : *tickets) {
    if (is_meant(ticket, settings)) meant.push_back(&ticket);
  }
  print(out, settings, meant);
  return exit_status::ok;
}

Wanted wanted(const Settings& settings) {
  return {.gateway = *settings.wallet_command->gateway,
          .type = settings.effective_ticket_type(),
          .now = SystemWallClock().now()};
}

int withdraw(const Settings& settings, WalletController& controller, std::FILE* out) {
  const auto kept = controller.withdraw(wanted(settings), settings.count);
  if (!kept) return report(kept.error());
  std::vector<const Ticket*> tickets;
  for (const auto& held : *kept)
    tickets.push_back(&held.ticket);
  print(out, settings, tickets);
  return exit_status::ok;
}

// A ticket that was taken out before, or sent, is shown again: its way out may have been cut off
// the first time, and only its owner can know.
Outcome<std::vector<HeldTicket>> held_by_number(Wallet& wallet, std::int64_t id) {
  auto held = wallet.find(id);
  if (!held) return std::unexpected(std::move(held.error()));
  const auto refuse = [id](std::string_view why) {
    return fail(Stage::resolve, ProbeCode::no_ticket, fmt::format("ticket {} {}", id, why));
  };
  if (!*held) return refuse("is not there, or is in use by another process");
  const auto state = (*held)->ticket.state;
  if (state != TicketState::unspent && state != TicketState::exported &&
      state != TicketState::sent) {
    return refuse(fmt::format("is {}", name(state)));
  }
  std::vector<HeldTicket> tickets;
  tickets.push_back(std::move(**held));
  return tickets;
}

Outcome<std::vector<HeldTicket>> to_export(const Settings& settings, Wallet& wallet) {
  const auto& command = *settings.wallet_command;
  if (command.ticket) return held_by_number(wallet, *command.ticket);
  auto held = wallet.hold(wanted(settings), settings.count);
  if (!held) return held;
  if (held->size() < settings.count) {
    return fail(Stage::resolve, ProbeCode::no_ticket,
                fmt::format("{} wanted, and {} {} there for {}", settings.count, held->size(),
                            messages::name(settings.effective_ticket_type()),
                            command.gateway->to_base58()));
  }
  return held;
}

int export_tickets(const Settings& settings, WalletController& controller, std::FILE* out) {
  const auto wallet = controller.wallet();
  if (!wallet) return report(wallet.error());
  auto tickets = to_export(settings, **wallet);
  if (!tickets) return report(tickets.error());
  json::array array;
  for (auto& held : *tickets) {
    if (held.ticket.state == TicketState::unspent) {
      if (const auto out_of_it = (*wallet)->take_out(held); !out_of_it) {
        print(out, array);  // those are out
        return report(out_of_it.error());
      }
    }
    array.push_back(disclose(held.ticket, SystemWallClock().now()));
  }
  print(out, array);
  return exit_status::ok;
}

}  // namespace

int run_command(const Settings& settings, std::FILE* out, int cancel_fd) {
  WalletController controller(settings.wallet, make_source(settings, cancel_fd));
  switch (settings.wallet_command->kind) {
    case WalletCommand::Kind::list:
      return list(settings, controller, out);
    case WalletCommand::Kind::withdraw:
      return withdraw(settings, controller, out);
    case WalletCommand::Kind::export_tickets:
      break;
  }
  return export_tickets(settings, controller, out);
}

}  // namespace lp::probe::wallet
