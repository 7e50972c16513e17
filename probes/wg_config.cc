#include "probes/wg_config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "lib/base/encoding.h"
#include "probes/client/socket.h"
#include "probes/errors.h"
#include "probes/target.h"

namespace lp::probe {
namespace {

constexpr unsigned keepalive_seconds = 25;

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

constexpr std::size_t max_private_file = 64 * 1024;

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// wg(8) and wg-quick(8) take keys in any case.
bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// What wg(8) and wg-quick(8) need and a probe does not.
constexpr std::array<std::string_view, 12> passed_over{
    "DNS",      "MTU",        "Table",  "PreUp",      "PostUp",     "PreDown",
    "PostDown", "SaveConfig", "FwMark", "ListenPort", "AllowedIPs", "PersistentKeepalive"};

/// A file while it is read, line by line.
class ConfigReader {
 public:
  using Failure = std::unexpected<std::string>;

  std::expected<WgConfig, std::string> read(std::string_view text) {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      ++line_;
      auto line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      line = trimmed(line.substr(0, line.find('#')));
      if (line.empty()) continue;
      if (auto taken = line.front() == '[' ? section(line) : entry(line); !taken) {
        return Failure(fmt::format("line {}: {}", line_, taken.error()));
      }
    }
    if (!has_key_) return Failure("there is no PrivateKey");
    if (!has_gateway_) return Failure("there is no PublicKey of a peer");
    if (config_.port == 0) return Failure("there is no Endpoint");
    if (!config_.address_v4 && !config_.address_v6) return Failure("there is no Address");
    return std::move(config_);
  }

 private:
  using Taken = std::expected<void, std::string>;
  enum class Section : std::uint8_t { none, interface, peer };

  Taken section(std::string_view line) {
    if (same_word(line, "[Interface]")) {
      section_ = Section::interface;
      return {};
    }
    if (!same_word(line, "[Peer]"))
      return Failure("this section is neither [Interface] nor [Peer]");
    if (has_peer_) return Failure("there is more than one [Peer]");
    has_peer_ = true;
    section_ = Section::peer;
    return {};
  }

  Taken entry(std::string_view line) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return Failure("this is no KEY = VALUE");
    const auto key = trimmed(line.substr(0, equals));
    const auto value = trimmed(line.substr(equals + 1));
    if (section_ == Section::none) return Failure("a key stands before the first section");
    const bool in_peer = section_ == Section::peer;
    if (!in_peer && same_word(key, "PrivateKey")) return private_key(value);
    if (!in_peer && same_word(key, "Address")) return addresses(value);
    if (in_peer && same_word(key, "PublicKey")) return public_key(value);
    if (in_peer && same_word(key, "PresharedKey")) return preshared_key(value);
    if (in_peer && same_word(key, "Endpoint")) return endpoint(value);
    if (std::ranges::any_of(passed_over, [&](auto known) { return same_word(key, known); })) {
      return {};
    }
    return Failure(fmt::format("there is no key '{}' here", printable(key, 40)));
  }

  Taken private_key(std::string_view value) {
    auto key = parse_wg_key(value);
    if (!key) return Failure("PrivateKey: " + key.error());
    config_.key = crypto::X25519KeyPair::from_secret(std::move(*key));
    has_key_ = true;
    return {};
  }

  Taken public_key(std::string_view value) {
    const auto key = parse_wg_key(value);
    if (!key) return Failure("PublicKey: " + key.error());
    config_.gateway_key.bytes = to_array<32>(key->bytes());
    has_gateway_ = true;
    return {};
  }

  Taken preshared_key(std::string_view value) {
    auto key = parse_wg_key(value);
    if (!key) return Failure("PresharedKey: " + key.error());
    config_.preshared = std::move(*key);
    return {};
  }

  Taken endpoint(std::string_view value) {
    auto parsed = parse_host_port(value);
    if (!parsed) return Failure("Endpoint: " + parsed.error());
    if (!parsed->port) return Failure("Endpoint: there is no port");
    config_.host = std::move(parsed->host);
    config_.port = *parsed->port;
    return {};
  }

  /// Addresses with or without a prefix length, commas between. The first of each version counts.
  Taken addresses(std::string_view value) {
    while (!value.empty()) {
      const auto end = std::min(value.find(','), value.size());
      const auto one = trimmed(value.substr(0, end));
      value.remove_prefix(std::min(end + 1, value.size()));
      const auto address = messages::ip_address_from_string(one.substr(0, one.find('/')));
      if (!address) return Failure(fmt::format("Address: '{}' is none", printable(one, 60)));
      if (const auto* v4 = std::get_if<messages::IpV4>(&*address)) {
        if (!config_.address_v4) config_.address_v4 = *v4;
      } else if (!config_.address_v6) {
        config_.address_v6 = std::get<messages::IpV6>(*address);
      }
    }
    return {};
  }

  WgConfig config_;
  Section section_ = Section::none;
  bool has_peer_ = false;
  bool has_key_ = false;
  bool has_gateway_ = false;
  unsigned line_ = 0;
};

}  // namespace

std::expected<WgConfig, std::string> parse_wg_config(std::string_view text) {
  return ConfigReader().read(text);
}

std::expected<Secret<32>, std::string> parse_wg_key(std::string_view text) {
  auto bytes = from_base64(text);
  if (!bytes) return std::unexpected("this is no base64");
  if (bytes->size() != Secret<32>::size) {
    wipe(*bytes);
    return std::unexpected("a key has 32 bytes");
  }
  Secret<32> key(std::span<const std::uint8_t, 32>(bytes->data(), 32));
  wipe(*bytes);
  return key;
}

std::expected<std::string, PrivateFileError> read_private_file(const std::string& path) {
  const auto failure = [&](std::string_view what, bool exposed = false) {
    return std::unexpected(PrivateFileError{fmt::format("{}: {}", printable(path), what), exposed});
  };
  // Without O_NONBLOCK a FIFO would hold the probe up.
  const client::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info{};
  if (!file.valid() || fstat(file.get(), &info) != 0) return failure(client::errno_text(errno));
  if (!S_ISREG(info.st_mode)) return failure("this is no regular file");
  if ((info.st_mode & 077) != 0) return failure("others can read or write it", true);
  if (info.st_uid != geteuid() && info.st_uid != 0) return failure("it is another user's", true);
  std::string text(max_private_file + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(client::errno_text(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_private_file) return failure("it is longer than 64 KiB");
  text.resize(size);
  return text;
}

std::string format_wg_config(const crypto::X25519Secret& private_key,
                             const messages::GatewayData& gateway,
                             const std::optional<Secret<32>>& preshared) {
  const std::string preshared_line =
      preshared ? fmt::format("PresharedKey = {}\n", to_base64(preshared->bytes())) : "";
  return fmt::format(
      "[Interface]\n"
      "PrivateKey = {}\n"
      "Address = {}/32, {}/128\n"
      "\n"
      "[Peer]\n"
      "PublicKey = {}\n"
      "{}"
      "Endpoint = {}\n"
      "AllowedIPs = 0.0.0.0/0, ::/0\n"
      "PersistentKeepalive = {}\n",
      to_base64(private_key.bytes()), messages::to_string(gateway.private_ipv4),
      messages::to_string(gateway.private_ipv6), to_base64(gateway.public_key.bytes),
      preshared_line, messages::to_string(gateway.endpoint), keepalive_seconds);
}

std::expected<void, std::string> write_private_file(const std::string& path,
                                                    std::string_view text) {
  const auto failure = [&](int error) {
    return std::unexpected(fmt::format("{}: {}", printable(path), client::errno_text(error)));
  };
  std::string temporary = path + ".XXXXXX";
  // mkstemp creates exclusively and with mode 0600.
  client::Descriptor fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return failure(errno);
  if (fchmod(fd.get(), 0600) != 0 || !write_all(fd.get(), text) || fsync(fd.get()) != 0 ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return failure(error);
  }
  return {};
}

}  // namespace lp::probe
