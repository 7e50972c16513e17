#include "tools/db-maint/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "tools/db-maint/interrupt.h"

namespace lp::db_maint {
namespace {

constexpr std::size_t most_error_output = 4'096;
constexpr int tick_ms = 100;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct FileActions {
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t actions{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : added)
    all.push_back(fmt::format("{}={}", name, value));
  return all;
}

std::unexpected<Failure> cannot(std::string_view what, int error) {
  return fail(exit_status::unavailable,
              fmt::format("{}: {}", what, std::generic_category().message(error)));
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Reads until the child has closed its end.
std::string collect(int fd, pid_t pid, const std::function<void()>& while_running) {
  std::string collected;
  bool told_to_end = false;
  while (true) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, tick_ms);
    if (interrupted() && !std::exchange(told_to_end, true)) (void)::kill(pid, SIGTERM);
    while_running();
    if (ready <= 0) continue;
    std::array<char, 1'024> bytes{};
    const ssize_t size = ::read(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return collected;
    collected.append(bytes.data(), std::min(static_cast<std::size_t>(size),
                                            most_error_output - collected.size()));
  }
}

}  // namespace

Outcome<ChildEnd> run_child(const std::vector<std::string>& command,
                            const std::map<std::string, std::string>& environment,
                            const std::function<void()>& while_running) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot("a pipe cannot be made", errno);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files.actions, writing.get(), STDERR_FILENO);
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables = environment_with(environment);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, command.front().c_str(), &files.actions, nullptr,
                                   pointers(arguments).data(), pointers(variables).data());
  if (error == ENOENT) {
    return fail(exit_status::config, fmt::format("there is no {} here", command.front()));
  }
  if (error != 0) return cannot(command.front() + " cannot be started", error);
  writing.close();
  std::string said = collect(reading.get(), pid, while_running);
  return ChildEnd{.code = wait_for(pid), .error_output = std::move(said)};
}

}  // namespace lp::db_maint
