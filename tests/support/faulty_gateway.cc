// lp-gateway-faulty: the whole lp-gateway, with a WireGuard that does as a test says.
//
// LP_TEST_WIREGUARD_SCRIPT names a file that is read again at every call, so that a test steers a
// running gateway by replacing it (write beside, rename). Each line is
//
//     OPERATION KEY VERDICT [COUNT]
//
// OPERATION: add, remove, list, or * for all. KEY: a WireGuard key in base64, or *. VERDICT:
//     ok        the memory backend does it
//     fail      refused, without effect
//     down      unavailable, without effect
//     hang-MS   sleeps MS milliseconds, then as ok
//     crash     SIGKILL to the own process, without effect
// COUNT: only the first COUNT calls that come to this line; without it, all. The first line that
// fits a call decides; where none does, or there is no file, it is ok.
//
// LP_TEST_WIREGUARD_LOG names a file that gets a line for each call as it ends: OPERATION KEY
// VERDICT (KEY is - for list).
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "gateway/app/gateway_main.h"
#include "gateway/wireguard/controller.h"
#include "lib/base/encoding.h"

namespace {

using lp::crypto::X25519Public;
using lp::gateway::wireguard::Backend;
using lp::gateway::wireguard::PeerConfig;
using lp::gateway::wireguard::PeerState;
using lp::gateway::wireguard::WireguardError;
using lp::gateway::wireguard::WireguardResult;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class ScriptedBackend final : public Backend {
 public:
  WireguardResult<std::monostate> add_peer(const PeerConfig& peer) override {
    return carry_out<std::monostate>("add", lp::to_base64(peer.public_key.bytes),
                                     [&] { return memory_->add_peer(peer); });
  }
  WireguardResult<std::monostate> remove_peer(const X25519Public& key) override {
    return carry_out<std::monostate>("remove", lp::to_base64(key.bytes),
                                     [&] { return memory_->remove_peer(key); });
  }
  WireguardResult<std::vector<PeerState>> list_peers() override {
    return carry_out<std::vector<PeerState>>("list", "-", [&] { return memory_->list_peers(); });
  }

 private:
  template <typename T, typename Action>
  WireguardResult<T> carry_out(const std::string& operation, const std::string& key,
                               Action action) {
    using Kind = WireguardError::Kind;
    const std::string said = verdict(operation, key);
    if (said == "crash") ::kill(::getpid(), SIGKILL);
    if (said.starts_with("hang-")) {
      unsigned milliseconds = 0;
      std::from_chars(said.data() + 5, said.data() + said.size(), milliseconds);
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    }
    WireguardResult<T> result =
        std::unexpected(WireguardError{Kind::refused, "the script says so"});
    if (said == "down") result.error().kind = Kind::unavailable;
    if (said != "down" && said != "fail") result = action();
    if (!log_.empty()) {
      std::ofstream(log_, std::ios::app) << operation << ' ' << key << ' ' << said << std::endl;
    }
    return result;
  }

  std::string verdict(const std::string& operation, const std::string& key) {
    std::ifstream file(script_);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string line_operation;
      std::string line_key;
      std::string line_verdict;
      if (!(words >> line_operation >> line_key >> line_verdict)) continue;
      if (line_operation != "*" && line_operation != operation) continue;
      if (line_key != "*" && line_key != key) continue;
      unsigned count = 0;
      if (words >> count && used_[line]++ >= count) continue;
      return line_verdict;
    }
    return "ok";
  }

  std::unique_ptr<Backend> memory_ = lp::gateway::wireguard::make_memory_backend();
  std::string script_ = environment("LP_TEST_WIREGUARD_SCRIPT");
  std::string log_ = environment("LP_TEST_WIREGUARD_LOG");
  std::map<std::string, unsigned> used_;  // calls decided by a counted line
};

}  // namespace

int main(int argc, char** argv) {
  lp::gateway::app::Overrides overrides;
  overrides.make_backend = [](const lp::gateway::Settings&) -> std::unique_ptr<Backend> {
    return std::make_unique<ScriptedBackend>();
  };
  return lp::gateway::app::gateway_main(argc, argv, overrides);
}
