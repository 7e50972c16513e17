// The local control socket (mode 0600) that `lp-gateway status`, `peers` and `keys` talk to. One
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

/// Takes the JSON answer, without line feed. To be called once, on any thread; once the socket has
/// been shut down, or its client has gone, the answer is dropped.
using Reply = std::move_only_function<void(std::string answer)>;
/// Takes the words of a request line. Called on the control thread, which it must not hold up.
using Handler = std::function<void(const std::vector<std::string>& words, Reply reply)>;

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
