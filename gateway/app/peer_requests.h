// What the control socket answers to "peers ..." (lp-gateway(8), "Control socket").
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/control/control_socket.h"
#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"

namespace lp::gateway::app {

/// At most this many peers are in one answer; whoever wants more asks again, from where it ended.
inline constexpr std::int64_t most_peers_in_answer = 1'000;

struct PeerParts {
  storage::Storage& storage;
  wireguard::Controller& wireguard;
  wireguard::Leases& leases;
  /// Called where WireGuard did not confirm a removal.
  std::function<void()> try_again;
};

/// "peers list AFTER LIMIT", AFTER a client id or 0; "peers show KEY"; "peers remove KEY". The
/// first word has been seen to be "peers". The parts must outlive the reply.
void answer_peers(const std::vector<std::string>& words, PeerParts parts, control::Reply reply);

}  // namespace lp::gateway::app
