#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "gateway/wireguard/device.h"
#include "gateway/wireguard/device_backend.h"
#include "gateway/wireguard/uapi_connection.h"

namespace lp::gateway::wireguard {
namespace {

using Kind = WireguardError::Kind;

std::unexpected<WireguardError> fail(Kind kind, std::string detail) {
  return std::unexpected(WireguardError{.kind = kind, .detail = std::move(detail)});
}

/// The value is left out: it may be a key.
std::unexpected<WireguardError> junk(std::string_view what) {
  return fail(Kind::unavailable, fmt::format("the device's answer makes no sense: {}", what));
}

struct Line {
  std::string_view key;
  std::string_view value;
};

std::optional<Line> split(std::string_view line) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  return Line{.key = line.substr(0, equals), .value = line.substr(equals + 1)};
}

template <typename T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// 32 bytes in hexadecimal.
bool parse_key(std::string_view text, MutableByteView key) {
  std::size_t size = 0;
  const char* end = nullptr;
  return text.size() == 64 &&
         ::sodium_hex2bin(key.data(), key.size(), text.data(), text.size(), nullptr, &size, &end) ==
             0 &&
         size == 32 && end == text.data() + text.size();
}

bool parse_secret(std::string_view text, Secret<32>& secret) {
  return parse_key(text, secret.mutable_bytes());
}

/// The end of every answer: "errno=N" and an empty line. Returns the positive errno.
WireguardResult<int> read_end(UapiConnection& connection, std::string_view errno_text) {
  int error = 0;
  if (!parse_number(errno_text, error)) return junk("its errno is no number");
  const auto empty = connection.read_line();
  if (!empty) return std::unexpected(empty.error());
  if (!empty->empty()) return junk("something follows errno");
  return std::abs(error);  // some send it as the negative number that calls return
}

/// Reads the answer to get=1 line by line: a large device lists a hundred thousand peers.
class ListingReader {
 public:
  ListingReader(UapiConnection& connection, const std::optional<PresharedKey>& preshared_key)
      : connection_(connection), builder_(preshared_key) {}

  WireguardResult<DeviceListing> read() {
    while (true) {
      const auto text = connection_.read_line();
      if (!text) return std::unexpected(text.error());
      if (text->empty()) return junk("it ends without errno");
      const auto line = split(*text);
      if (!line) return junk("a line is not key=value");
      if (line->key == "errno") {
        const auto error = read_end(connection_, line->value);
        if (!error) return std::unexpected(error.error());
        if (*error == 0) return builder_.take();
        return fail(Kind::unavailable,
                    fmt::format("the device cannot be read: {}", std::strerror(*error)));
      }
      if (const auto wrong = take(*line); !wrong.empty()) return junk(wrong);
    }
  }

 private:
  /// What is wrong with the line, or nothing. Keys that are not known here are passed over, as the
  /// protocol wants it.
  std::string take(const Line& line) {
    const auto& [key, value] = line;
    bool good = true;
    if (key == "public_key") {
      crypto::X25519Public peer;
      good = parse_key(value, peer.bytes);
      if (good && !builder_.begin_peer(peer)) return "it has too many peers";
    } else if (key == "private_key") {
      good = parse_secret(value, secret_);
      if (good) builder_.set_private_key(secret_.bytes());
    } else if (key == "listen_port") {
      std::uint16_t port = 0;
      good = parse_number(value, port);
      builder_.set_listen_port(port);
    } else if (is_of_peer(key)) {
      if (!builder_.in_peer()) return fmt::format("{} before any public_key", key);
      good = take_of_peer(line);
    }
    return good ? std::string() : fmt::format("the value of {}", key);
  }

  static bool is_of_peer(std::string_view key) {
    return key == "preshared_key" || key == "persistent_keepalive_interval" || key == "rx_bytes" ||
           key == "tx_bytes" || key == "last_handshake_time_sec" || key == "allowed_ip";
  }

  bool take_of_peer(const Line& line) {
    const auto& [key, value] = line;
    if (key == "allowed_ip") return take_allowed_ip(value);
    if (key == "preshared_key") {
      if (!parse_secret(value, secret_)) return false;
      builder_.set_preshared_key(secret_.bytes());
      return true;
    }
    if (key == "persistent_keepalive_interval") {
      std::uint16_t seconds = 0;
      if (!parse_number(value, seconds)) return false;
      builder_.set_keepalive(seconds);
      return true;
    }
    std::uint64_t number = 0;
    if (!parse_number(value, number)) return false;
    if (key == "rx_bytes") builder_.set_rx_bytes(number);
    if (key == "tx_bytes") builder_.set_tx_bytes(number);
    if (key == "last_handshake_time_sec") builder_.set_last_handshake(number);
    return true;
  }

  bool take_allowed_ip(std::string_view value) {
    const auto slash = value.find('/');
    if (slash == std::string_view::npos) return false;
    const auto address = messages::ip_address_from_string(value.substr(0, slash));
    unsigned prefix = 0;
    if (!address || !parse_number(value.substr(slash + 1), prefix)) return false;
    if (prefix > (std::holds_alternative<messages::IpV4>(*address) ? 32U : 128U)) return false;
    builder_.add_allowed_ip(*address, prefix);
    return true;
  }

  UapiConnection& connection_;
  ListingBuilder builder_;
  Secret<32> secret_;  // the key that is being looked at
};

class UapiDevice final : public Device {
 public:
  UapiDevice(SharedConfig config, std::filesystem::path socket)
      : config_(std::move(config)), socket_(std::move(socket)) {}

  WireguardResult<DeviceListing> read(IoDeadline deadline) override {
    UapiConnection connection(deadline);
    UapiRequest request("get=1");
    if (auto sent = ask(connection, request); !sent) return std::unexpected(sent.error());
    return ListingReader(connection, config_->preshared_key).read();
  }

  WireguardResult<std::monostate> configure(IoDeadline deadline) override {
    UapiRequest request("set=1");
    request.add_hex("private_key", config_->private_key.bytes());
    request.add("listen_port", std::to_string(config_->listen_port));
    const auto error = set(request, deadline);
    if (!error) return std::unexpected(error.error());
    if (*error == 0) return std::monostate{};
    return fail(Kind::unavailable, fmt::format("key and listen port {} cannot be set: {}",
                                               config_->listen_port, std::strerror(*error)));
  }

  WireguardResult<std::monostate> set_peer(const PeerConfig& peer, IoDeadline deadline) override {
    static constexpr ByteArray<32> no_preshared_key{};
    UapiRequest request("set=1");
    request.add_hex("public_key", peer.public_key.bytes);
    request.add_hex("preshared_key", config_->preshared_key ? config_->preshared_key->bytes()
                                                            : std::span(no_preshared_key));
    request.add("persistent_keepalive_interval", std::to_string(persistent_keepalive.count()));
    request.add("replace_allowed_ips", "true");
    request.add("allowed_ip", messages::to_string(peer.addresses.ipv4) + "/32");
    request.add("allowed_ip", messages::to_string(peer.addresses.ipv6) + "/128");
    return answer_of_peer(set(request, deadline), "added");
  }

  WireguardResult<std::monostate> remove_peer(const crypto::X25519Public& key,
                                              IoDeadline deadline) override {
    UapiRequest request("set=1");
    request.add_hex("public_key", key.bytes);
    request.add("remove", "true");
    return answer_of_peer(set(request, deadline), "removed");
  }

  std::optional<DeviceLife> life() override {
    struct ::stat status{};
    if (::stat(socket_.c_str(), &status) != 0) return std::nullopt;
    // A file system may give the number of a removed file to the next: with its time no two agree.
    return DeviceLife{status.st_dev, status.st_ino,
                      static_cast<std::uint64_t>(status.st_ctim.tv_sec) * 1'000'000'000 +
                          static_cast<std::uint64_t>(status.st_ctim.tv_nsec)};
  }

 private:
  WireguardResult<std::monostate> ask(UapiConnection& connection, UapiRequest& request) {
    if (auto opened = connection.open(socket_); !opened) return opened;
    return connection.send(request.finish());
  }

  /// The errno of the answer.
  WireguardResult<int> set(UapiRequest& request, IoDeadline deadline) {
    UapiConnection connection(deadline);
    if (auto sent = ask(connection, request); !sent) return std::unexpected(sent.error());
    const auto text = connection.read_line();
    if (!text) return std::unexpected(text.error());
    const auto line = split(*text);
    if (!line || line->key != "errno") return junk("it does not begin with errno");
    return read_end(connection, line->value);
  }

  static WireguardResult<std::monostate> answer_of_peer(const WireguardResult<int>& error,
                                                        std::string_view what) {
    if (!error) return std::unexpected(error.error());
    if (*error == 0) return std::monostate{};
    return fail(is_about_peer(*error) ? Kind::refused : Kind::unavailable,
                fmt::format("a peer could not be {}: {}", what, std::strerror(*error)));
  }

  const SharedConfig config_;
  const std::filesystem::path socket_;
};

}  // namespace

std::unique_ptr<Backend> make_uapi_backend(DeviceConfig config, UapiOptions options) {
  auto shared = share(std::move(config));
  auto socket = options.directory / (shared->interface + ".sock");
  return make_device_backend(std::make_unique<UapiDevice>(shared, std::move(socket)), shared,
                             options.deadline);
}

}  // namespace lp::gateway::wireguard
