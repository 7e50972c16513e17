// The local control socket (mode 0600) that `lp-gateway status` talks to, and later `peers`. One
// request line, one JSON answer line.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lp::gateway::control {

/// Takes the words of a request line; returns the JSON answer. Called on the control thread.
using Handler = std::function<std::string(const std::vector<std::string>& words)>;

class ControlSocket {
 public:
  virtual ~ControlSocket() = default;
  virtual void shut_down() = 0;
};

/// Listens at `path`, replacing a stale socket but not a live one.
[[nodiscard]] std::expected<std::unique_ptr<ControlSocket>, std::string> serve(
    const std::filesystem::path& path, Handler handler);

/// Sends one request line and returns the answer. Fails with a sentence that names the path.
[[nodiscard]] std::expected<std::string, std::string> request(const std::filesystem::path& path,
                                                              std::string_view line);

}  // namespace lp::gateway::control
