#include "gateway/metrics/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>

namespace lp::gateway::metrics {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
};
struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { (void)::closedir(directory); }
};

std::uint64_t resident_bytes() noexcept {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/self/statm", "re"));
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &total, &resident) != 2) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t open_fds() noexcept {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir("/proc/self/fd"));
  if (!directory) return 0;
  std::uint64_t entries = 0;
  while (::readdir(directory.get()) != nullptr)
    ++entries;
  // Not ".", ".." and the descriptor that reads the directory.
  return entries > 3 ? entries - 3 : 0;
}

double seconds(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// Clock ticks from the machine's start to the process's: field 22 of /proc/self/stat. The second
/// field, the program's name, may hold anything, so fields are counted from its last bracket.
double ticks_at_start() noexcept {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/self/stat", "re"));
  if (!file) return -1;
  char line[1024] = {};
  const std::size_t size = std::fread(line, 1, sizeof line - 1, file.get());
  std::size_t at = size;
  while (at > 0 && line[at - 1] != ')')
    --at;
  double ticks = -1;
  constexpr const char* format =
      " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf";
  return std::sscanf(line + at, format, &ticks) == 1 ? ticks : -1;
}

}  // namespace

ProcessUsage process_usage() noexcept {
  ProcessUsage usage;
  rusage times{};
  if (::getrusage(RUSAGE_SELF, &times) == 0) {
    usage.cpu_seconds = seconds(times.ru_utime) + seconds(times.ru_stime);
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) usage.max_fds = files.rlim_cur;
  usage.resident_bytes = resident_bytes();
  usage.open_fds = open_fds();
  return usage;
}

double process_start_time() noexcept {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  timespec uptime{};
  const double ticks = ticks_at_start();
  if (ticks < 0 || ::clock_gettime(CLOCK_BOOTTIME, &uptime) != 0) return now;
  const double since_boot =
      static_cast<double>(uptime.tv_sec) + static_cast<double>(uptime.tv_nsec) * 1e-9;
  return now - since_boot + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace lp::gateway::metrics
