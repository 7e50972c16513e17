// Running the real programs from a test: children with pipes, directories and ports for them.
//
//   TempDir dir;
//   Child gateway({.program = program("lp-gateway"), .args = {"run", "--ephemeral"}});
//   auto ready = gateway.read_line();               // waits, with a limit
//   …
//   gateway.send_signal(SIGTERM);
//   EXPECT_EQ(gateway.wait().code, 0);
//
// Limits here are there to end a test that hangs, and generous; they assert nothing about speed.
// What cannot work at all (no such program, no pipe) throws, which GoogleTest reports as a failure.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lp::test {

inline constexpr std::chrono::seconds patience{60};

/// A directory of its own, mode 0700, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The program of this build with that name.
[[nodiscard]] std::filesystem::path program(std::string_view name);

/// A TCP port of 127.0.0.1 that is free now. Another process may take it before you do: prefer
/// port 0 and the program's own report wherever there is one.
[[nodiscard]] std::uint16_t free_port();

/// Whether this machine gives a pseudo-terminal: a root made by debootstrap has none before devpts
/// is mounted in it. Where not, say so and skip.
[[nodiscard]] bool has_terminals();
inline constexpr std::string_view no_terminals =
    "NOT RUN: no pseudo-terminal here (mount -t devpts devpts /dev/pts)";

[[nodiscard]] std::string read_file(const std::filesystem::path& path);
/// Writes `text` and sets the file's mode.
void write_file(const std::filesystem::path& path, std::string_view text, unsigned mode = 0644);

struct ChildOptions {
  std::filesystem::path program;
  std::vector<std::string> args;
  /// Changes to this process's environment; no value removes the variable. TMPDIR, where it is not
  /// among them, is a directory of the child's own, removed with the Child.
  std::map<std::string, std::optional<std::string>> environment = {};
  /// Soft and hard limit of open files.
  std::optional<std::uint64_t> open_files_soft = std::nullopt;
  std::optional<std::uint64_t> open_files_hard = std::nullopt;
  /// Runs as this user and group, where the test runs as root.
  std::optional<uid_t> user = std::nullopt;
  /// Sent to it when the thread that started it ends; 9 leaves it no choice.
  int death_signal = 9;
};

/// How a child ended: exactly one of the two.
struct Ended {
  std::optional<int> code;
  std::optional<int> signal;
};

/// One child process. Its output is collected by a thread, so it never blocks on a full pipe. The
/// destructor kills it; it also dies with the thread that started it, so that a crashed test leaves
/// nothing running: start it in a thread that lives as long as it should.
class Child {
 public:
  explicit Child(const ChildOptions& options);
  ~Child();
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;

  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] bool running() const;

  /// The next line of standard output, without its newline. None at its end or after `limit`.
  [[nodiscard]] std::optional<std::string> read_line(std::chrono::milliseconds limit = patience);
  /// The next line of standard error that contains `text`; lines before it are passed over.
  [[nodiscard]] std::optional<std::string> wait_for_error_line(
      std::string_view text, std::chrono::milliseconds limit = patience);

  void write(std::string_view text);
  void close_input();

  void send_signal(int signal) const;
  /// Waits for its end and the end of its output. On reaching `limit`: kills it and returns what
  /// came of that (signal 9).
  Ended wait(std::chrono::milliseconds limit = patience);
  /// SIGKILL, and waits.
  Ended kill();

  /// All of its output so far.
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string error_output() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs a program to its end.
struct Finished {
  Ended ended;
  std::string output;
  std::string error_output;
};
[[nodiscard]] Finished run(const ChildOptions& options, std::chrono::milliseconds limit = patience);

}  // namespace lp::test
