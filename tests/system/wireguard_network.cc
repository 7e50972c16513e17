#include "tests/system/wireguard_network.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "lib/base/encoding.h"

namespace lp::test {
namespace {

int own_namespace() {
  return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

void enter(int network_namespace) {
  if (::setns(network_namespace, CLONE_NEWNET) != 0) {
    throw std::runtime_error(std::string("setns: ") + std::strerror(errno));
  }
}

int make_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) {
    throw std::runtime_error(std::string("no network namespace: ") + std::strerror(errno));
  }
  run_command({"ip", "link", "set", "lo", "up"});
  return own_namespace();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    parts.push_back(part);
  return parts;
}

Finished run_found(std::vector<std::string> command) {
  return run({.program = "/usr/bin/env", .args = std::move(command)});
}

/// The addresses in the file of a tunnel: wg-quick sets them, and `strip` leaves them out.
std::vector<std::string> addresses_in(const std::string& wg_config) {
  std::vector<std::string> addresses;
  for (const auto& line : split(wg_config, '\n')) {
    constexpr std::string_view key = "Address = ";
    if (!line.starts_with(key)) continue;
    std::istringstream values(line.substr(key.size()));
    for (std::string value; std::getline(values >> std::ws, value, ',');)
      addresses.push_back(value);
  }
  return addresses;
}

}  // namespace

std::string run_command(std::vector<std::string> command) {
  const std::string text = testing::PrintToString(command);
  const auto finished = run_found(std::move(command));
  EXPECT_EQ(finished.ended.code, 0) << text << ": " << finished.output << finished.error_output;
  return finished.output;
}

std::map<std::string, std::string> Dump::allowed_ips() const {
  std::map<std::string, std::string> all;
  for (const auto& [key, peer] : peers)
    all.emplace(key, peer.allowed_ips);
  return all;
}

WireguardGo::WireguardGo(std::string interface, std::vector<std::string> addresses)
    : interface_(std::move(interface)), addresses_(std::move(addresses)) {
  start();
}

void WireguardGo::start() {
  child_ =
      std::make_unique<Child>(ChildOptions{.program = "/usr/bin/env",
                                           .args = {"wireguard-go", "--foreground", interface_},
                                           .environment = {{"LOG_LEVEL", "verbose"}}});
  // Not asked with wg(8): that deletes the socket when it finds it bound but not listening yet.
  std::optional<std::string> line;
  do {
    line = child_->read_line();
  } while (line && line->find("UAPI listener started") == std::string::npos);
  if (!line) {
    throw std::runtime_error("wireguard-go does not start " + interface_ + ": " + child_->output() +
                             child_->error_output());
  }
  for (const auto& address : addresses_) {
    std::vector<std::string> command{"ip", "address", "add", address, "dev", interface_};
    // Until an IPv6 address is known to be nobody else's, another interface's is taken as a source.
    if (address.find(':') != std::string::npos) command.emplace_back("nodad");
    run_command(std::move(command));
  }
  run_command({"ip", "link", "set", interface_, "up"});
}

void WireguardGo::stop() {
  if (!child_) return;
  child_->send_signal(SIGTERM);
  (void)child_->wait();
  child_.reset();
}

Dump WireguardGo::dump() const {
  Dump dump;
  const auto lines = split(run_command({"wg", "show", interface_, "dump"}), '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto fields = split(lines[i], '\t');
    if (i == 0) {
      dump.public_key = fields.at(1);
      dump.listen_port = fields.at(2);
      continue;
    }
    dump.peers.emplace(to_hex(from_base64(fields.at(0)).value()),
                       DumpedPeer{.preshared_key = fields.at(1),
                                  .endpoint = fields.at(2),
                                  .allowed_ips = fields.at(3),
                                  .last_handshake = std::stoull(fields.at(4)),
                                  .rx_bytes = std::stoull(fields.at(5)),
                                  .tx_bytes = std::stoull(fields.at(6)),
                                  .keepalive = fields.at(7)});
  }
  return dump;
}

std::unique_ptr<WireguardGo> bring_up(const std::filesystem::path& wg_config) {
  auto device = std::make_unique<WireguardGo>(wg_config.stem(), addresses_in(read_file(wg_config)));
  set_tunnel(wg_config);
  return device;
}

void set_tunnel(const std::filesystem::path& wg_config) {
  auto stripped = wg_config;
  stripped.replace_extension("stripped");
  write_file(stripped, run_command({"wg-quick", "strip", wg_config.string()}), 0600);
  run_command({"wg", "setconf", wg_config.stem().string(), stripped.string()});
}

void WireguardNetwork::SetUp() {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "NOT RUN: network namespaces and TUN devices need root";
  }
  home_ = own_namespace();
  client_ = make_namespace();
  gateway_ = make_namespace();
  const std::string client =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(client_);
  run_command(
      {"ip", "link", "add", "lpveth", "type", "veth", "peer", "name", "lpveth", "netns", client});
  const auto set_up = [](const std::string& ipv4, const std::string& ipv6) {
    run_command({"ip", "address", "add", ipv4 + "/24", "dev", "lpveth"});
    run_command({"ip", "address", "add", ipv6 + "/64", "dev", "lpveth", "nodad"});
    run_command({"ip", "link", "set", "lpveth", "up"});
  };
  set_up(gateway_address, "fd77::1");
  as_client([&] { set_up(client_address, "fd77::2"); });
}

void WireguardNetwork::TearDown() {
  if (home_ < 0) return;
  enter(home_);
  for (const int network_namespace : {home_, client_, gateway_})
    ::close(network_namespace);
}

void WireguardNetwork::as_client(const std::function<void()>& what) const {
  enter(client_);
  what();
  enter(gateway_);
}

std::string WireguardNetwork::interface_name(const std::string& prefix) {
  return prefix + std::to_string(::getpid());
}

}  // namespace lp::test
