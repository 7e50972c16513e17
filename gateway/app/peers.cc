#include "gateway/app/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <optional>
#include <utility>

#include "gateway/app/peer_requests.h"
#include "gateway/app/status.h"
#include "lib/base/clock.h"
#include "lib/messages/registration.h"

namespace lp::gateway::app {
namespace {

namespace json = boost::json;

constexpr auto row_format = "{:<44} {:<15} {:<24} {:<17} {:<7} {:>16} {:>16} {:>16} {}\n";

std::unexpected<Refusal> no_answer() {
  return refuse(ExitCode::unavailable, "the gateway's answer is none");
}

/// The answer as an object; a refusal where the gateway says no.
std::expected<json::object, Refusal> ask(const SettingsSource& source, const std::string& line) {
  const auto answer = ask_gateway(source, line);
  if (!answer) return std::unexpected(answer.error());
  if (auto error = answer_error(*answer); !error.empty()) {
    return refuse(ExitCode::unavailable, std::move(error));
  }
  boost::system::error_code error;
  json::value value = json::parse(*answer, error);
  if (error || !value.is_object()) return no_answer();
  return std::move(value.get_object());
}

std::string text(const json::object& object, std::string_view member) {
  const auto* value = object.if_contains(member);
  if (value == nullptr || value->is_null()) return "-";
  if (const auto* string = value->if_string()) return std::string(*string);
  return json::serialize(*value);
}

std::string time(const json::object& object, std::string_view member) {
  const auto* value = object.if_contains(member);
  const auto* seconds = value == nullptr ? nullptr : value->if_int64();
  if (seconds == nullptr) return "-";
  const auto point = static_cast<std::time_t>(*seconds);
  std::tm utc{};
  if (::gmtime_r(&point, &utc) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string line(const json::object& peer) {
  return fmt::format(row_format, text(peer, "public_key"), text(peer, "private_ipv4"),
                     text(peer, "private_ipv6"), text(peer, "ticket_type"), text(peer, "state"),
                     text(peer, "available"), text(peer, "used"), text(peer, "credited"),
                     time(peer, "last_seen"));
}

struct Page {
  json::array peers;
  std::optional<std::int64_t> next;
};

std::expected<Page, Refusal> ask_page(const SettingsSource& source, std::int64_t after,
                                      std::int64_t limit) {
  auto answer = ask(source, fmt::format("peers list {} {}", after, limit));
  if (!answer) return std::unexpected(std::move(answer.error()));
  auto* peers = answer->if_contains("peers");
  const auto* next = answer->if_contains("next");
  if (peers == nullptr || !peers->is_array() || next == nullptr) return no_answer();
  if (!std::ranges::all_of(peers->get_array(), &json::value::is_object)) return no_answer();
  Page page{.peers = std::move(peers->get_array()), .next = std::nullopt};
  if (const auto* id = next->if_int64()) page.next = *id;
  return page;
}

/// What was typed, or a refusal that does not need a gateway.
Outcome check_key(const std::string& key) {
  if (messages::parse_wg_public_key(key)) return {};
  return refuse(ExitCode::usage,
                "a peer is named by its WireGuard public key: 44 characters of base64, as peers "
                "list prints them");
}

}  // namespace

Outcome list_peers(const SettingsSource& source, bool json, std::uint32_t limit) {
  json::array all;
  std::int64_t after = 0;
  std::int64_t left = limit == 0 ? INT64_MAX : std::int64_t{limit};
  if (!json) {
    auto head = fmt::format(row_format, "PUBLIC KEY", "IPV4", "IPV6", "TICKET TYPE", "STATE",
                            "AVAILABLE", "USED", "CREDITED", "LAST SEEN");
    // Asked before the head is printed: without a gateway there is no output.
    auto page = ask_page(source, 0, 0);
    if (!page) return std::unexpected(std::move(page.error()));
    if (auto printed = print(head); !printed) return printed;
  }
  while (left > 0) {
    auto page = ask_page(source, after, std::min(left, most_peers_in_answer));
    if (!page) return std::unexpected(std::move(page.error()));
    std::string lines;
    for (auto& peer : page->peers) {
      if (json) {
        all.push_back(std::move(peer));
      } else {
        lines += line(peer.get_object());
      }
    }
    if (auto printed = print(lines); !printed) return printed;
    left -= static_cast<std::int64_t>(page->peers.size());
    // A page that leads nowhere ends it, whatever it says.
    if (!page->next || *page->next <= after) break;
    after = *page->next;
  }
  if (!json) return {};
  return print(json::serialize(json::value{{"ok", true}, {"peers", std::move(all)}}) + '\n');
}

Outcome show_peer(const SettingsSource& source, bool json, const std::string& key) {
  if (auto checked = check_key(key); !checked) return checked;
  const auto answer = ask(source, "peers show " + key);
  if (!answer) return std::unexpected(answer.error());
  const std::string object = json::serialize(*answer);
  return print(json ? object + '\n' : status_text(object));
}

Outcome remove_peer(const SettingsSource& source, bool json, const std::string& key) {
  if (auto checked = check_key(key); !checked) return checked;
  const auto answer = ask(source, "peers remove " + key);
  if (!answer) return std::unexpected(answer.error());
  if (json) return print(json::serialize(*answer) + '\n');
  const bool existed = text(*answer, "existed") == "true";
  const bool confirmed = text(*answer, "wireguard_confirmed") == "true";
  return print(fmt::format(
      "{}; {}\n", existed ? "removed from the database" : "was removed from the database before",
      confirmed ? "WireGuard has confirmed that the peer is gone"
                : fmt::format("WireGuard has not confirmed yet ({}), and is asked again until it "
                              "does",
                              text(*answer, "wireguard_error"))));
}

}  // namespace lp::gateway::app
