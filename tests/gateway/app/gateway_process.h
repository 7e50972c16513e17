// A data directory and the real lp-gateway on it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lp::gateway::app {

/// Settings of a test gateway on loopback, as flags.
inline const std::vector<std::string> loopback{"--bind-address=127.0.0.1", "--control-port=0",
                                               "--http-address=127.0.0.1", "--http-port=0",
                                               "--use-mock-ecash"};

inline std::vector<std::string> operator+(std::vector<std::string> a,
                                          const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// What the ready line says.
struct Ready {
  std::string lp;
  std::string http;
  std::string identity;
};

inline std::optional<Ready> parse_ready(const std::string& line) {
  const auto value = [&](const std::string& name) -> std::string {
    const std::size_t at = line.find(' ' + name + '=');
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 2;
    return line.substr(begin, line.find(' ', begin) - begin);
  };
  if (!line.starts_with("ready ")) return std::nullopt;
  return Ready{value("lp"), value("http"), value("identity")};
}

class GatewayProcess : public testing::Test {
 protected:
  /// Runs a command on the data directory, to its end.
  test::Finished command(std::vector<std::string> args) {
    return test::run({.program = test::program("lp-gateway"),
                      .args = std::move(args) + std::vector<std::string>{"--data-dir", data_dir_}});
  }
  void init() { ASSERT_EQ(command({"init"}).ended.code, 0); }

  test::ChildOptions run_options(const std::vector<std::string>& more = {}) const {
    return {.program = test::program("lp-gateway"),
            .args = std::vector<std::string>{"run", "--data-dir", data_dir_} + loopback + more};
  }
  [[nodiscard]] std::filesystem::path in_data_dir(std::string_view name) const {
    return std::filesystem::path(data_dir_) / name;
  }
  /// Starts a gateway and waits for its ready line.
  void start(const std::vector<std::string>& more = {}) {
    gateway_.emplace(run_options(more));
    const auto line = gateway_->read_line();
    ASSERT_TRUE(line) << gateway_->error_output();
    const auto ready = parse_ready(*line);
    ASSERT_TRUE(ready) << *line;
    ready_ = *ready;
  }
  /// The value of a member of `lp-gateway status`.
  std::string status(const std::string& name) {
    const std::string text = command({"status"}).output;
    const std::size_t at = text.find(name + ": ");
    if (at == std::string::npos) return "none in " + text;
    const std::size_t begin = at + name.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
  }

  test::TempDir dir_;
  std::string data_dir_ = (dir_ / "data").string();
  std::optional<test::Child> gateway_;
  Ready ready_;
};

}  // namespace lp::gateway::app
