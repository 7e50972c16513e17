// One connection to the socket of a user-space WireGuard: a request out, lines back. Whoever
// answers is not trusted to be quick, brief or right.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/io_deadline.h"
#include "lib/base/secret.h"

namespace lp::gateway::wireguard {

/// "key=value" lines; the text holds keys and is wiped.
class UapiRequest {
 public:
  explicit UapiRequest(std::string_view operation);
  void add(std::string_view key, std::string_view value);
  void add_hex(std::string_view key, std::span<const std::uint8_t, 32> value);
  /// Ends it with the empty line.
  [[nodiscard]] ByteView finish();

 private:
  static constexpr std::size_t capacity = 1024;  // all of them are about 400 bytes
  void append(std::string_view text);

  SecretBuffer text_;
  MutableByteView room_;
  std::size_t size_ = 0;
};

class UapiConnection {
 public:
  static constexpr std::size_t max_line = 4096;

  explicit UapiConnection(IoDeadline deadline);
  ~UapiConnection();
  UapiConnection(const UapiConnection&) = delete;
  UapiConnection& operator=(const UapiConnection&) = delete;

  [[nodiscard]] WireguardResult<std::monostate> open(const std::filesystem::path& socket);
  [[nodiscard]] WireguardResult<std::monostate> send(ByteView request);
  /// The next line, without its newline; valid until the next call.
  [[nodiscard]] WireguardResult<std::string_view> read_line();

 private:
  [[nodiscard]] WireguardResult<std::monostate> wait(short events);
  [[nodiscard]] WireguardResult<std::monostate> receive();

  const IoDeadline deadline_;
  int fd_ = -1;
  SecretBuffer received_;
  MutableByteView room_;
  std::size_t begin_ = 0;  // of what no line was made of yet, in `room_`
  std::size_t end_ = 0;
};

}  // namespace lp::gateway::wireguard
