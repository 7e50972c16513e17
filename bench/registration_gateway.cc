#include "bench/registration_gateway.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "lib/net/fetch.h"

namespace lp::bench {
namespace {

/// The word after `name` and up to the next blank.
std::string field(const std::string& line, const std::string& name) {
  const auto begin = line.find(name);
  if (begin == std::string::npos) return {};
  const auto after = begin + name.size();
  return line.substr(after, line.find(' ', after) - after);
}

/// The value of a metric without labels; 0 where there is none.
double metric(const std::string& text, const std::string& name) {
  const auto line = text.find("\n" + name + " ");
  return line == std::string::npos ? 0 : std::stod(text.substr(line + name.size() + 2));
}

}  // namespace

Gateway::Gateway(const std::string& program, const std::vector<std::string>& ecash_flags) {
  const auto data = (dir_ / "gateway").string();
  const auto made =
      test::run({.program = test::program(program), .args = {"init", "--data-dir", data}});
  const auto identity = made.output.substr(0, made.output.find('\n'));
  identity_ = crypto::Identity::from_base58(identity).value();
  key_ = identity_.to_x25519().value();
  std::vector<std::string> args{
      "run",        "--data-dir",     data,         "--bind-address",
      "127.0.0.1",  "--control-port", "0",          "--http-address",
      "127.0.0.1",  "--http-port",    "0",          "--max-connections-per-address",
      "0",          "--ipv4-pool",    "10.0.0.0/8", "--ipv6-pool",
      "fd00::/100", "--log-level",    "error"};
  args.insert(args.end(), ecash_flags.begin(), ecash_flags.end());
  child_.emplace(test::ChildOptions{.program = test::program(program), .args = std::move(args)});
  const auto ready = child_->read_line().value_or("");
  const auto address = field(ready, "lp=");
  if (address.empty()) throw std::runtime_error(child_->error_output());
  endpoint_ = probe::client::Endpoint::from_literal(
      "127.0.0.1", static_cast<std::uint16_t>(std::stoul(address.substr(address.find(':') + 1))));
  http_ = field(ready, "http=");
}

double Gateway::cpu_seconds() const {
  std::ifstream file("/proc/" + std::to_string(child_->pid()) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i)
    fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Gateway::Batches Gateway::batches() const {
  const auto url = net::Url::parse("http://" + http_ + "/metrics");
  const auto answer = net::get(url.value());
  if (!answer) throw std::runtime_error(answer.error().detail);
  return {.count = metric(answer->body, "lp_ecash_batch_size_count"),
          .tickets = metric(answer->body, "lp_ecash_batch_size_sum")};
}

}  // namespace lp::bench
