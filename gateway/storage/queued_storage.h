// The storage as the gateway sees it, over any database: calls are checked and queued, and the
// writer's and the readers' threads carry them out.
#pragma once

#include <memory>

#include "gateway/storage/ledger.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

/// Starts the threads. `lists`: a connection of its own for lists, so that a long one holds up no
/// look-up; without it one reader does both.
[[nodiscard]] std::unique_ptr<Storage> make_queued_storage(std::unique_ptr<Ledger> ledger,
                                                           bool commit_each,
                                                           std::unique_ptr<Lookup> lookup,
                                                           std::unique_ptr<Lookup> lists = {});

}  // namespace lp::gateway::storage
