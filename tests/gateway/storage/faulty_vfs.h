// SQLite's file system with faults: while one is set, writes or syncs fail with its code.
#pragma once

#include <atomic>

namespace lp::gateway::storage::test {

/// Registers itself as SQLite's default file system for as long as it lives. Databases must be
/// opened and closed within that time. One at a time.
class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  /// An SQLite result code such as SQLITE_FULL; 0 = writing works.
  void fail_writes(int code);
  void fail_syncs(int code);
  /// Syncs of the log so far: each is one durable commit.
  [[nodiscard]] int log_syncs() const;
};

}  // namespace lp::gateway::storage::test
