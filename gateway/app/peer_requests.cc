#include "gateway/app/peer_requests.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <optional>
#include <utility>

#include "gateway/app/status.h"
#include "gateway/storage/address_pool.h"
#include "gateway/wireguard/client_removal.h"
#include "lib/base/encoding.h"
#include "lib/messages/registration.h"

namespace lp::gateway::app {
namespace {

namespace json = boost::json;
using control::Reply;
using storage::Peer;

std::string refusal(const storage::StorageError& error) {
  return refusal_json("the database cannot be used: " + error.detail);
}

std::string_view state(const Peer& peer) {
  if (peer.removal_noted) return "leaving";
  return peer.available > 0 ? "active" : "spent";
}

json::object as_json(const Peer& peer) {
  const auto view = [](std::string_view text) { return json::string(text); };
  json::object object{
      {"public_key", to_base64(peer.public_key.bytes)},
      {"client_id", peer.client_id},
      {"ticket_type", view(messages::name(peer.ticket_type))},
      {"private_ipv4", view(storage::address_text(peer.addresses.ipv4.octets).view())},
      {"private_ipv6", view(storage::address_text(peer.addresses.ipv6.octets).view())},
      {"state", view(state(peer))},
      {"available", peer.available},
      {"used", peer.used},
      {"credited", peer.credited},
      {"created_at", peer.created_at},
      {"last_seen", nullptr}};
  if (peer.last_seen) object["last_seen"] = *peer.last_seen;
  return object;
}

/// What the device says of a peer.
json::object as_json(const wireguard::WireguardResult<std::vector<wireguard::PeerState>>& peers,
                     const crypto::X25519Public& key) {
  if (!peers) return {{"answers", false}, {"error", peers.error().detail}};
  const auto found = std::ranges::find(*peers, key, &wireguard::PeerState::public_key);
  if (found == peers->end()) return {{"answers", true}, {"has_peer", false}};
  json::object object{{"answers", true},
                      {"has_peer", true},
                      {"settings_match", found->settings_match},
                      {"rx_bytes", found->rx_bytes},
                      {"tx_bytes", found->tx_bytes},
                      {"last_handshake", nullptr}};
  if (found->last_handshake != 0) object["last_handshake"] = found->last_handshake;
  return object;
}

std::optional<std::int64_t> number(const std::string& word) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value < 0) return std::nullopt;
  return value;
}

void list(std::int64_t after, std::int64_t limit, PeerParts parts, Reply reply) {
  limit = std::min(limit, most_peers_in_answer);
  parts.storage.list_peers(
      {.after = after, .limit = limit},
      [limit, reply = std::move(reply)](storage::StorageResult<std::vector<Peer>> peers) mutable {
        if (!peers) return reply(refusal(peers.error()));
        json::array rows;
        rows.reserve(peers->size());
        for (const auto& peer : *peers)
          rows.push_back(as_json(peer));
        json::object answer{{"ok", true}, {"peers", std::move(rows)}, {"next", nullptr}};
        const bool more = limit > 0 && static_cast<std::int64_t>(peers->size()) == limit;
        if (more) answer["next"] = peers->back().client_id;
        reply(json::serialize(answer));
      });
}

void show(const crypto::X25519Public& key, PeerParts parts, Reply reply) {
  parts.storage.find_peer(key, [key, &wireguard = parts.wireguard, reply = std::move(reply)](
                                   storage::StorageResult<std::optional<Peer>> found) mutable {
    if (!found) return reply(refusal(found.error()));
    if (!*found) return reply(refusal_json("the database has no peer with this key"));
    auto answer = as_json(**found);
    answer["ok"] = true;
    wireguard.list_peers(
        [key, answer = std::move(answer), reply = std::move(reply)](auto peers) mutable {
          answer["wireguard"] = as_json(peers, key);
          reply(json::serialize(answer));
        });
  });
}

void remove(const crypto::X25519Public& key, PeerParts parts, Reply reply) {
  wireguard::remove_client(
      parts.storage, parts.wireguard, parts.leases, key,
      [try_again = std::move(parts.try_again),
       reply = std::move(reply)](storage::StorageResult<wireguard::ClientRemoval> removal) mutable {
        if (!removal) return reply(refusal(removal.error()));
        if (!removal->noted) return reply(refusal_json("the database has no peer with this key"));
        if (!removal->confirmed) try_again();
        reply(json::serialize(json::value{{"ok", true},
                                          {"existed", removal->existed},
                                          {"wireguard_confirmed", removal->confirmed},
                                          {"wireguard_error", removal->wireguard_error}}));
      });
}

}  // namespace

void answer_peers(const std::vector<std::string>& words, PeerParts parts, Reply reply) {
  const std::string_view request = words.size() > 1 ? std::string_view(words[1]) : "";
  if (request == "list" && words.size() == 4) {
    const auto after = number(words[2]);
    const auto limit = number(words[3]);
    if (after && limit) return list(*after, *limit, std::move(parts), std::move(reply));
  }
  if ((request == "show" || request == "remove") && words.size() == 3) {
    const auto key = messages::parse_wg_public_key(words[2]);
    if (!key) return reply(refusal_json("that is no WireGuard public key"));
    return request == "show" ? show(*key, std::move(parts), std::move(reply))
                             : remove(*key, std::move(parts), std::move(reply));
  }
  reply(refusal_json("no such request"));
}

}  // namespace lp::gateway::app
