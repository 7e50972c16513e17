// The operator's removal of a client (lp-gateway(8), "peers remove").
#pragma once

#include <functional>
#include <string>

#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"

namespace lp::gateway::wireguard {

struct ClientRemoval {
  bool existed = false;
  /// A removal from WireGuard is, or was, to be carried out; false only where nothing was there.
  bool noted = false;
  bool confirmed = false;         ///< WireGuard has no such peer any more
  std::string wireguard_error{};  ///< why that is not confirmed; the next pass tries again
};

/// Waits until no registration of this key is in flight, then removes the client from the database,
/// with the removal from WireGuard noted in the same transaction, and carries that out. `done` is
/// called once, on a thread of the storage or the controller. The references must outlive it.
void remove_client(storage::Storage& storage, Controller& controller, Leases& leases,
                   const crypto::X25519Public& key, storage::Done<ClientRemoval> done);

}  // namespace lp::gateway::wireguard
