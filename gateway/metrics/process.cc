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

struct Process::Files {
  std::unique_ptr<std::FILE, CloseFile> statm{std::fopen("/proc/self/statm", "re")};
  std::unique_ptr<DIR, CloseDirectory> fds{::opendir("/proc/self/fd")};

  [[nodiscard]] std::uint64_t resident_bytes() const noexcept {
    char text[128] = {};
    unsigned long long total = 0;
    unsigned long long resident = 0;
    if (!statm || ::pread(::fileno(statm.get()), text, sizeof text - 1, 0) <= 0 ||
        std::sscanf(text, "%llu %llu", &total, &resident) != 2) {
      return 0;
    }
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }

  [[nodiscard]] std::uint64_t open_fds() const noexcept {
    if (!fds) return 0;
    ::rewinddir(fds.get());
    std::uint64_t entries = 0;
    while (::readdir(fds.get()) != nullptr)
      ++entries;
    return entries > 2 ? entries - 2 : 0;  // "." and ".."
  }
};

Process::Process() : files_(std::make_unique<Files>()) {}
Process::~Process() = default;

ProcessUsage Process::usage() const noexcept {
  ProcessUsage usage;
  rusage times{};
  if (::getrusage(RUSAGE_SELF, &times) == 0) {
    usage.cpu_seconds = seconds(times.ru_utime) + seconds(times.ru_stime);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_fds = limit.rlim_cur;
  usage.resident_bytes = files_->resident_bytes();
  usage.open_fds = files_->open_fds();
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
