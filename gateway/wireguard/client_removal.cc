#include "gateway/wireguard/client_removal.h"

#include <memory>
#include <utility>

namespace lp::gateway::wireguard {
namespace {

/// Goes from one completion to the next and keeps itself, and its lease, until the last.
class Removal : public std::enable_shared_from_this<Removal> {
 public:
  Removal(storage::Storage& storage, Controller& controller, const crypto::X25519Public& key,
          storage::Done<ClientRemoval> done)
      : storage_(storage), controller_(controller), key_(key), done_(std::move(done)) {}

  void start(Lease lease) {
    lease_ = std::move(lease);
    storage_.remove_peer(
        key_, [self = shared_from_this()](storage::StorageResult<storage::RemovedPeer> removed) {
          if (!removed) return self->done_(std::unexpected(std::move(removed.error())));
          self->result_.existed = removed->existed;
          self->result_.noted = removed->removal_noted;
          removed->removal_noted ? self->remove_from_wireguard() : self->finish();
        });
  }

 private:
  void remove_from_wireguard() {
    controller_.remove_peer(key_,
                            [self = shared_from_this()](WireguardResult<std::monostate> removed) {
                              if (removed) return self->confirm();
                              self->result_.wireguard_error = std::move(removed.error().detail);
                              self->finish();
                            });
  }

  void confirm() {
    // Should this fail, the removal is carried out once more, which harms nobody.
    storage_.confirm_removals({key_},
                              [self = shared_from_this()](storage::StorageResult<std::monostate>) {
                                self->result_.confirmed = true;
                                self->finish();
                              });
  }

  void finish() {
    lease_.release();
    done_(std::move(result_));
  }

  storage::Storage& storage_;
  Controller& controller_;
  const crypto::X25519Public key_;
  storage::Done<ClientRemoval> done_;
  Lease lease_;
  ClientRemoval result_;
};

}  // namespace

void remove_client(storage::Storage& storage, Controller& controller, Leases& leases,
                   const crypto::X25519Public& key, storage::Done<ClientRemoval> done) {
  auto removal = std::make_shared<Removal>(storage, controller, key, std::move(done));
  leases.acquire({.kind = LeaseKey::Kind::wireguard_key, .key = key.bytes},
                 [removal = std::move(removal)](Lease lease) { removal->start(std::move(lease)); });
}

}  // namespace lp::gateway::wireguard
