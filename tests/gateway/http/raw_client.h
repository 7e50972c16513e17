// A TCP client that sends exactly the bytes it is told to, and reads HTTP answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lp::gateway::http::test {

/// Ends a test that hangs; says nothing about speed.
inline constexpr std::chrono::seconds patience{30};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

class RawClient {
 public:
  /// Connects to "ADDR:PORT", from `source` where given. Throws where it cannot.
  explicit RawClient(const std::string& address, const std::string& source = {},
                     int receive_buffer = 0);
  ~RawClient();
  RawClient(RawClient&&) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  /// False where the server has closed.
  bool send(std::string_view bytes) const;
  void shut_down_sending() const;

  /// The next answer; nothing where the connection ended before one was complete.
  [[nodiscard]] std::optional<Response> read_response(bool head = false);
  /// What comes until the server closes, and whether it did within `limit`.
  [[nodiscard]] std::string read_to_end();
  [[nodiscard]] bool ended_within(std::chrono::milliseconds limit) const;
  /// send and read_response.
  [[nodiscard]] std::optional<Response> get(const std::string& target);

 private:
  /// Reads more into buffer_; false at the end of the connection.
  bool fill();

  int fd_ = -1;
  std::string buffer_;
};

/// A GET as a careful client writes it.
[[nodiscard]] std::string request(std::string_view target, std::string_view method = "GET",
                                  std::string_view headers = {});

}  // namespace lp::gateway::http::test
