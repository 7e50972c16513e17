// A real lp-issuer that is killed and started again.
#pragma once

#include <memory>
#include <regex>
#include <stdexcept>
#include <string>

#include "tests/support/process.h"

namespace lp::test {

class RealIssuer {
 public:
  RealIssuer() : port_(free_port()) {
    contract_ = command({"init"});
    token_ = command({"token", "add", "--tickets", "100000"});
    start();
  }

  /// Starts it (again) on the same port, and waits until it serves.
  void start() {
    child_ = std::make_unique<Child>(
        ChildOptions{.program = program("lp-issuer"),
                     .args = {"run", "--data-dir", data_dir(), "--http-address", "127.0.0.1",
                              "--http-port", std::to_string(port_), "--log-level", "warning"}});
    const auto ready = child_->read_line();
    if (!ready || !ready->starts_with("ready ")) {
      throw std::runtime_error("lp-issuer did not start: " + child_->error_output());
    }
  }
  void kill() { (void)child_->kill(); }

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& contract() const { return contract_; }
  [[nodiscard]] const std::string& token() const { return token_; }

  /// The tickets that the token's allowance was debited for.
  [[nodiscard]] std::size_t debited() const {
    const auto list = command({"token", "list", "--json"});
    std::smatch match;
    if (!std::regex_search(list, match, std::regex("\"used\":([0-9]+)"))) {
      throw std::runtime_error("no debits in " + list);
    }
    return std::stoul(match[1]);
  }

 private:
  [[nodiscard]] std::string data_dir() const { return (dir_ / "issuer").string(); }

  /// The first line of its output.
  [[nodiscard]] std::string command(std::vector<std::string> args) const {
    args.insert(args.end(), {"--data-dir", data_dir()});
    const auto finished = run({.program = program("lp-issuer"), .args = std::move(args)});
    if (finished.ended.code != 0) throw std::runtime_error(finished.error_output);
    return finished.output.substr(0, finished.output.find('\n'));
  }

  TempDir dir_;
  std::uint16_t port_;
  std::unique_ptr<Child> child_;
  std::string contract_;
  std::string token_;
};

}  // namespace lp::test
