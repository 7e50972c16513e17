// The calls that the storage's threads carry out, as they wait in the queues.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

/// A call that waits, its completion, and its result as soon as there is one.
template <typename RequestType, typename ResultType>
struct Job {
  using Request = RequestType;
  using Result = ResultType;

  Request request;
  Done<Result> done;
  /// Fails where this call alone cannot be carried out and the rest of the transaction can.
  std::optional<StorageResult<Result>> result{};
  /// The result of a transaction of which it is not known whether it was committed.
  std::optional<Result> in_doubt{};

  /// Answers; a second answer is none.
  void complete(StorageResult<Result> with) {
    if (auto call = std::exchange(done, nullptr)) call(std::move(with));
  }
};

struct CompensationRequest {
  Owner owner;
  messages::Nullifier nullifier{};
  UnixSeconds now = 0;
};
struct UsageRequest {
  std::vector<PeerUsage> usage;
  UnixSeconds now = 0;
};

using AcceptJob = Job<Acceptance, AcceptanceResult>;
using CompensateJob = Job<CompensationRequest, Storage::Compensated>;
using ConfirmJob = Job<std::vector<crypto::X25519Public>, std::monostate>;
using UsageJob = Job<UsageRequest, UsageOutcome>;
using RemovePeerJob = Job<crypto::X25519Public, RemovedPeer>;
using SessionJob = Job<SessionRecord, std::monostate>;
using WriteJob =
    std::variant<AcceptJob, CompensateJob, ConfirmJob, UsageJob, RemovePeerJob, SessionJob>;

struct ListRemovalsRequest {};
using FindJob = Job<messages::Nullifier, std::optional<SpentTicket>>;
using ListPeersJob = Job<PeerPage, std::vector<Peer>>;
using FindPeerJob = Job<crypto::X25519Public, std::optional<Peer>>;
using ListRemovalsJob = Job<ListRemovalsRequest, std::vector<crypto::X25519Public>>;
using ReadJob = std::variant<FindJob, ListPeersJob, FindPeerJob, ListRemovalsJob>;

}  // namespace lp::gateway::storage
