#include "gateway/app/open_files.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <thread>

namespace lp::gateway::app {
namespace {

constexpr std::uint64_t for_the_rest = 512;
constexpr std::uint64_t for_a_thread = 4;  // epoll, its wake-up, its timer, one listening socket

std::uint64_t overhead(std::uint32_t threads) {
  const std::uint64_t count =
      threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  return for_the_rest + for_a_thread * count;
}

rlimit limits() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = files.rlim_max = 0;
  return files;
}

}  // namespace

std::uint64_t descriptors_needed(std::uint32_t max_connections, std::uint32_t threads) {
  return max_connections + overhead(threads);
}

std::expected<void, Refusal> check_open_files(std::uint32_t max_connections,
                                              std::uint32_t threads) {
  const std::uint64_t needed = descriptors_needed(max_connections, threads);
  const rlimit files = limits();
  if (files.rlim_max >= needed) return {};
  return std::unexpected(Refusal{
      ExitCode::configuration,
      fmt::format("max_connections {} needs {} open files, and the hard limit is {}: raise the "
                  "limit (LimitNOFILE= of a systemd unit) or lower max_connections to {}",
                  max_connections, needed, files.rlim_max, most_connections(threads))});
}

std::expected<void, Refusal> raise_open_files(std::uint32_t max_connections,
                                              std::uint32_t threads) {
  if (auto checked = check_open_files(max_connections, threads); !checked) return checked;
  const std::uint64_t needed = descriptors_needed(max_connections, threads);
  rlimit files = limits();
  if (files.rlim_cur >= needed) return {};
  files.rlim_cur = needed;
  if (::setrlimit(RLIMIT_NOFILE, &files) == 0) return {};
  return std::unexpected(Refusal{ExitCode::configuration,
                                 fmt::format("the limit of open files cannot be raised to {}: {}",
                                             needed, std::strerror(errno))});
}

std::uint32_t most_connections(std::uint32_t threads) {
  const std::uint64_t hard = limits().rlim_max;
  const std::uint64_t most = hard > overhead(threads) ? hard - overhead(threads) : 1;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(most, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace lp::gateway::app
