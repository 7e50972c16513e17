#include "tests/gateway/storage/faulty_vfs.h"

#include <sqlite3.h>

#include <array>
#include <cstdlib>
#include <mutex>

namespace lp::gateway::storage::test {
namespace {

std::atomic<int> write_fault = SQLITE_OK;
std::atomic<int> sync_fault = SQLITE_OK;
std::atomic<int> syncs_of_log = 0;

sqlite3_vfs* real = nullptr;
sqlite3_vfs faulty;

// The file object stays the real one; only its table of methods is replaced by a copy in which
// writing and syncing go through here.
struct Patched {
  sqlite3_io_methods methods;  // first: a file's pMethods points to it
  const sqlite3_io_methods* original;
  bool log;
};
std::mutex patched_mutex;
std::array<Patched, 8> patched;
std::size_t patched_count = 0;

const Patched& of(sqlite3_file* file) {
  return *reinterpret_cast<const Patched*>(file->pMethods);
}

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  if (const int fault = write_fault) return fault;
  return of(file).original->xWrite(file, data, size, offset);
}

int sync(sqlite3_file* file, int flags) {
  if (const int fault = sync_fault) return fault;
  if (of(file).log) ++syncs_of_log;
  return of(file).original->xSync(file, flags);
}

const sqlite3_io_methods* patch(const sqlite3_io_methods* original, bool log) {
  const std::lock_guard lock(patched_mutex);
  for (std::size_t i = 0; i < patched_count; ++i) {
    if (patched[i].original == original && patched[i].log == log) return &patched[i].methods;
  }
  if (patched_count == patched.size()) std::abort();
  auto& fresh = patched[patched_count++];
  fresh = {*original, original, log};
  fresh.methods.xWrite = write;
  fresh.methods.xSync = sync;
  return &fresh.methods;
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  const int code = real->xOpen(real, name, file, flags, flags_out);
  if (code == SQLITE_OK && file->pMethods != nullptr) {
    file->pMethods = patch(file->pMethods, (flags & SQLITE_OPEN_WAL) != 0);
  }
  return code;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  real = sqlite3_vfs_find(nullptr);
  faulty = *real;
  faulty.zName = "faulty";
  faulty.pNext = nullptr;
  faulty.xOpen = open;
  write_fault = SQLITE_OK;
  sync_fault = SQLITE_OK;
  sqlite3_vfs_register(&faulty, 1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&faulty);
  sqlite3_vfs_register(real, 1);
}

void FaultyVfs::fail_writes(int code) {
  write_fault = code;
}
void FaultyVfs::fail_syncs(int code) {
  sync_fault = code;
}
int FaultyVfs::log_syncs() const {
  return syncs_of_log;
}

}  // namespace lp::gateway::storage::test
