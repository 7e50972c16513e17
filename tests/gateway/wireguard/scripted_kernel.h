// The kernel's side of netlink in a test: datagrams that were sent, and those that come back.
#pragma once

#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/wireguard/netlink.h"

namespace lp::test {

/// Little pieces of a netlink message, written by hand in host byte order: nothing of the code
/// under test, and nothing of libmnl, is used to make them.
class Wire {
 public:
  template <typename T>
  Wire& put(T value) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
    return *this;
  }
  Wire& put_bytes(ByteView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  /// struct nlattr and its payload, padded to four bytes.
  Wire& attribute(std::uint16_t type, ByteView payload) {
    put(static_cast<std::uint16_t>(4 + payload.size())).put(type).put_bytes(payload);
    while (bytes_.size() % 4 != 0)
      bytes_.push_back(0);
    return *this;
  }
  template <typename T>
  Wire& number(std::uint16_t type, T value) {
    return attribute(type, Wire().put(value).bytes());
  }
  Wire& text(std::uint16_t type, const std::string& value) {
    return attribute(
        type, ByteView(reinterpret_cast<const std::uint8_t*>(value.c_str()), value.size() + 1));
  }
  /// With NLA_F_NESTED.
  Wire& nest(std::uint16_t type, const Wire& inside) {
    return attribute(static_cast<std::uint16_t>(type | 0x8000), inside.bytes());
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

/// struct nlmsghdr and what follows it.
inline Bytes message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                     const Wire& payload) {
  Wire wire;
  wire.put(static_cast<std::uint32_t>(16 + payload.bytes().size())).put(type).put(flags);
  wire.put(sequence).put(std::uint32_t{0}).put_bytes(payload.bytes());
  return wire.bytes();
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A sent datagram's fields.
inline std::uint16_t type_of(const Bytes& datagram) {
  return static_cast<std::uint16_t>(datagram[4] | datagram[5] << 8);
}
inline std::uint32_t sequence_of(const Bytes& datagram) {
  std::uint32_t sequence = 0;
  std::memcpy(&sequence, datagram.data() + 8, sizeof(sequence));
  return sequence;
}
/// The command of struct genlmsghdr.
inline std::uint8_t command_of(const Bytes& datagram) {
  return datagram[16];
}

/// State shared by the test and the sockets that the backend opens.
struct ScriptedKernel {
  /// What comes back to a request: datagrams, one after the other; then silence. A negative errno
  /// in place of sending.
  struct Answer {
    std::vector<Bytes> datagrams = {};
    int send_error = 0;
    int receive_error = 0;  ///< after the datagrams; 0: silence, which the deadline ends
  };
  std::function<Answer(const Bytes& request)> answer;
  int open_error = 0;
  std::uint32_t interface_index = 7;
  std::vector<Bytes> requests;  ///< all that were sent
  std::size_t opened = 0;

  [[nodiscard]] std::unique_ptr<gateway::wireguard::Netlink> netlink();
};

class ScriptedNetlinkSocket final : public gateway::wireguard::NetlinkSocket {
 public:
  explicit ScriptedNetlinkSocket(ScriptedKernel& kernel) : kernel_(kernel) {}
  std::expected<void, int> send(ByteView datagram) override {
    kernel_.requests.emplace_back(datagram.begin(), datagram.end());
    auto answer = kernel_.answer(kernel_.requests.back());
    if (answer.send_error != 0) return std::unexpected(answer.send_error);
    for (auto& one : answer.datagrams)
      waiting_.push_back(std::move(one));
    receive_error_ = answer.receive_error;
    return {};
  }
  std::expected<std::size_t, int> receive(MutableByteView into,
                                          gateway::wireguard::IoDeadline deadline) override {
    if (deadline.passed()) return std::unexpected(ETIMEDOUT);
    if (waiting_.empty()) return std::unexpected(receive_error_ != 0 ? receive_error_ : ETIMEDOUT);
    const Bytes datagram = std::move(waiting_.front());
    waiting_.pop_front();
    if (datagram.size() > into.size()) return std::unexpected(EMSGSIZE);
    std::memcpy(into.data(), datagram.data(), datagram.size());
    return datagram.size();
  }

 private:
  ScriptedKernel& kernel_;
  std::deque<Bytes> waiting_;
  int receive_error_ = 0;
};

class ScriptedNetlink final : public gateway::wireguard::Netlink {
 public:
  explicit ScriptedNetlink(ScriptedKernel& kernel) : kernel_(kernel) {}
  std::expected<std::unique_ptr<gateway::wireguard::NetlinkSocket>, int> open() override {
    ++kernel_.opened;
    if (kernel_.open_error != 0) return std::unexpected(kernel_.open_error);
    return std::make_unique<ScriptedNetlinkSocket>(kernel_);
  }
  std::uint32_t interface_index(const std::string&) override { return kernel_.interface_index; }

 private:
  ScriptedKernel& kernel_;
};

inline std::unique_ptr<gateway::wireguard::Netlink> ScriptedKernel::netlink() {
  return std::make_unique<ScriptedNetlink>(*this);
}

}  // namespace lp::test
