// Registers without end, to be killed: `registering_process FILE-OR-URL FIRST`. Prints the number
// of each ticket once it is answered as accepted. Eight are under way at any time.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/gateway/storage/storage_test.h"

namespace {

namespace storage = lp::gateway::storage;

void register_from(storage::Storage& database, std::uint64_t number, std::uint64_t step) {
  for (;; number += step) {
    const auto owner = number % 3 == 0 ? storage::test::mixnet_owner(number)
                                       : storage::test::wireguard_owner(number / 2);
    const auto result = storage::test::accept(database, storage::test::ticket(owner, number));
    if (!result) {
      std::fprintf(stderr, "%s\n", result.error().detail.c_str());
      std::_Exit(2);
    }
    if (result->outcome != storage::AcceptanceOutcome::accepted) std::_Exit(3);
    const auto line = std::to_string(number) + "\n";
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(4);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  auto database =
      storage::test::open_database(argv[1], {.ipv4_pool = "10.0.0.0/8", .ipv6_pool = "fd00::/64"});
  if (!database) {
    std::fprintf(stderr, "%s\n", database.error().detail.c_str());
    return 1;
  }
  const auto first = std::strtoull(argv[2], nullptr, 10);
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (std::uint64_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { register_from(**database, first + i, 8); });
  }
  for (auto& thread : threads)
    thread.join();
}
