#include "tests/support/process.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;

namespace lp::test {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  return {ends[0], ends[1]};
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

std::vector<std::string> merged_environment(
    const std::map<std::string, std::optional<std::string>>& changes) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!changes.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : changes) {
    if (value) merged.push_back(name + "=" + *value);
  }
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Between fork and exec only async-signal-safe calls: the parent has threads.
[[noreturn]] void become(const ChildOptions& options, const char* path, char** argv, char** envp,
                         int in, int out, int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, options.death_signal);
  if (::getppid() != parent) ::_exit(126);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (options.open_files_hard) files.rlim_max = *options.open_files_hard;
  if (options.open_files_soft) files.rlim_cur = *options.open_files_soft;
  if (files.rlim_cur > files.rlim_max) files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (options.user) {
    // Opened before: the other user may not reach it, below /root for example.
    const int program = ::open(path, O_RDONLY | O_CLOEXEC);
    if (::setgroups(0, nullptr) != 0 || ::setgid(*options.user) != 0 ||
        ::setuid(*options.user) != 0) {
      ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, options.death_signal);  // a change of user clears it
    if (program >= 0) ::fexecve(program, argv, envp);
  }
  ::execve(path, argv, envp);
  ::_exit(127);
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "lp-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("mkdtemp " + pattern);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path program(std::string_view name) {
  return std::filesystem::path(LP_TEST_BIN) / name;
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw_errno("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!bound) throw_errno("bind 127.0.0.1:0");
  return ntohs(address.sin_port);
}

bool has_terminals() {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return false;
  const char* other = ::unlockpt(terminal) == 0 ? ::ptsname(terminal) : nullptr;
  const bool there = other != nullptr && ::access(other, R_OK | W_OK) == 0;
  ::close(terminal);
  return there;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw_errno("open " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::filesystem::path& path, std::string_view text, unsigned mode) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file || ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    throw_errno("write " + path.string());
  }
}

struct Child::Impl {
  pid_t pid = -1;
  int pidfd = -1;
  int input = -1;
  std::optional<Ended> ended;

  // Shared with the collecting thread.
  struct Stream {
    int fd = -1;
    std::string text;
    std::size_t line_start = 0;  // of the next line to hand out
    bool at_end = false;
  };
  mutable std::mutex mutex;
  std::condition_variable changed;
  Stream out;
  Stream err;
  std::thread collector;
  int stop_event = -1;  // ends the collector although a grandchild still holds the pipes
  std::optional<TempDir> temporary;  // the child's TMPDIR: a killed one tidies nothing up

  ~Impl();
  void start(const ChildOptions& options);
  void collect();
  bool take(Stream& stream);
  std::optional<std::string> next_line(Stream& stream, std::chrono::steady_clock::time_point end);
  Ended wait_until(std::chrono::steady_clock::time_point end);
};

void Child::Impl::start(const ChildOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // writing to a child that is gone is an error, not the test's end
  if (::access(options.program.c_str(), X_OK) != 0) throw_errno(options.program.string());
  Pipe in = make_pipe();
  Pipe stdout_pipe = make_pipe();
  Pipe stderr_pipe = make_pipe();
  std::vector<std::string> argv_texts{options.program.string()};
  argv_texts.insert(argv_texts.end(), options.args.begin(), options.args.end());
  auto changes = options.environment;
  if (!changes.contains("TMPDIR")) {
    changes["TMPDIR"] = temporary.emplace().path().string();
    if (options.user) std::filesystem::permissions(temporary->path(), std::filesystem::perms::all);
  }
  std::vector<std::string> environment = merged_environment(changes);
  std::vector<char*> argv = pointers(argv_texts);
  std::vector<char*> envp = pointers(environment);

  const pid_t parent = ::getpid();
  pid = ::fork();
  if (pid == 0) {
    become(options, argv[0], argv.data(), envp.data(), in.read_end, stdout_pipe.write_end,
           stderr_pipe.write_end, parent);
  }
  if (pid < 0) throw_errno("fork");
  close_fd(in.read_end);
  close_fd(stdout_pipe.write_end);
  close_fd(stderr_pipe.write_end);
  input = in.write_end;
  out.fd = stdout_pipe.read_end;
  err.fd = stderr_pipe.read_end;
  // Not <sys/pidfd.h>: glibc 2.36 declares its functions with C++ linkage.
  pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) throw_errno("pidfd_open");
  ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
  stop_event = ::eventfd(0, EFD_CLOEXEC);
  if (stop_event < 0) throw_errno("eventfd");
  collector = std::thread([this] { collect(); });
}

Child::Impl::~Impl() {
  if (pid > 0 && !ended) {
    ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  close_fd(input);
  if (collector.joinable()) {
    ::eventfd_write(stop_event, 1);
    collector.join();
  }
  close_fd(stop_event);
  close_fd(out.fd);
  close_fd(err.fd);
  close_fd(pidfd);
}

bool Child::Impl::take(Stream& stream) {
  std::array<char, 16'384> buffer;
  const ssize_t count = ::read(stream.fd, buffer.data(), buffer.size());
  if (count < 0 && errno == EINTR) return true;
  const std::lock_guard lock(mutex);
  if (count > 0) {
    stream.text.append(buffer.data(), static_cast<std::size_t>(count));
  } else {
    stream.at_end = true;
  }
  changed.notify_all();
  return count > 0;
}

void Child::Impl::collect() {
  bool out_open = true;
  bool err_open = true;
  while (out_open || err_open) {
    std::array<pollfd, 3> fds{pollfd{out_open ? out.fd : -1, POLLIN, 0},
                              pollfd{err_open ? err.fd : -1, POLLIN, 0},
                              pollfd{stop_event, POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (fds[0].revents != 0) out_open = take(out);
    if (fds[1].revents != 0) err_open = take(err);
    if (fds[2].revents != 0) break;
  }
  const std::lock_guard lock(mutex);
  out.at_end = err.at_end = true;
  changed.notify_all();
}

std::optional<std::string> Child::Impl::next_line(Stream& stream,
                                                  std::chrono::steady_clock::time_point end) {
  std::unique_lock lock(mutex);
  std::size_t newline = std::string::npos;
  changed.wait_until(lock, end, [&] {
    newline = stream.text.find('\n', stream.line_start);
    return newline != std::string::npos || stream.at_end;
  });
  if (newline == std::string::npos) return std::nullopt;
  std::string line = stream.text.substr(stream.line_start, newline - stream.line_start);
  stream.line_start = newline + 1;
  return line;
}

Ended Child::Impl::wait_until(std::chrono::steady_clock::time_point end) {
  if (ended) return *ended;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd fd{pidfd, POLLIN, 0};
    const int ready = ::poll(&fd, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) break;
    if (ready == 0 && left.count() <= 0) {
      ::kill(pid, SIGKILL);
      break;
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ended = Ended{};
  if (WIFEXITED(status)) ended->code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended->signal = WTERMSIG(status);
  std::unique_lock lock(mutex);
  changed.wait_until(lock, std::chrono::steady_clock::now() + patience,
                     [&] { return out.at_end && err.at_end; });
  return *ended;
}

Child::Child(const ChildOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->start(options);
}
Child::~Child() = default;
Child::Child(Child&&) noexcept = default;
Child& Child::operator=(Child&&) noexcept = default;

pid_t Child::pid() const {
  return impl_->pid;
}

bool Child::running() const {
  pollfd fd{impl_->pidfd, POLLIN, 0};
  return !impl_->ended && ::poll(&fd, 1, 0) == 0;
}

std::optional<std::string> Child::read_line(std::chrono::milliseconds limit) {
  return impl_->next_line(impl_->out, std::chrono::steady_clock::now() + limit);
}

std::optional<std::string> Child::wait_for_error_line(std::string_view text,
                                                      std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (auto line = impl_->next_line(impl_->err, end)) {
    if (line->find(text) != std::string::npos) return line;
  }
  return std::nullopt;
}

void Child::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(impl_->input, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("write to child");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Child::close_input() {
  close_fd(impl_->input);
}

void Child::send_signal(int signal) const {
  // Until it is waited for, the process id stays its own.
  if (!impl_->ended && ::kill(impl_->pid, signal) != 0) throw_errno("kill");
}

Ended Child::wait(std::chrono::milliseconds limit) {
  return impl_->wait_until(std::chrono::steady_clock::now() + limit);
}

Ended Child::kill() {
  send_signal(SIGKILL);
  return wait();
}

std::string Child::output() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->out.text;
}

std::string Child::error_output() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->err.text;
}

Finished run(const ChildOptions& options, std::chrono::milliseconds limit) {
  Child child(options);
  child.close_input();
  Finished finished;
  finished.ended = child.wait(limit);
  finished.output = child.output();
  finished.error_output = child.error_output();
  return finished;
}

}  // namespace lp::test
