#include "gateway/app/commands.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "gateway/app/data_dir.h"
#include "gateway/app/gateway.h"
#include "gateway/app/key_file.h"
#include "gateway/app/status.h"
#include "gateway/config/render.h"
#include "gateway/control/control_socket.h"
#include "lib/base/encoding.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::app {
namespace {

constexpr std::string_view identity_comment =
    "The Ed25519 seed of this gateway's identity. Keep it secret, and keep a copy.";

void note(const std::string& sentence) {
  std::fprintf(stderr, "lp-gateway: %s\n", sentence.c_str());
}

bool is_there(const std::filesystem::path& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

Outcome make_data_dir(const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) errno = error.value();
  if (!error && (::mkdir(path.c_str(), S_IRWXU) == 0 || errno == EEXIST)) {
    if (std::filesystem::is_directory(path, error)) return {};
    errno = ENOTDIR;
  }
  const ExitCode code = errno == EACCES ? ExitCode::no_permission : ExitCode::cannot_create;
  return refuse(code, fmt::format("{}: the data directory cannot be made: {}", path.string(),
                                  std::strerror(errno)));
}

Outcome refuse_existing(const std::filesystem::path& path) {
  if (!is_there(path)) return {};
  return refuse(ExitCode::cannot_create,
                path.string() + ": is there already, and init overwrites no key");
}

std::expected<crypto::IdentityKeyPair, Refusal> read_identity(const Settings& settings) {
  auto seed = read_key_file(identity_key_file(settings), "identity key");
  if (!seed) return std::unexpected(seed.error());
  return crypto::IdentityKeyPair::from_seed(std::move(*seed));
}

}  // namespace

Outcome print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return {};
  }
  return refuse(ExitCode::cannot_create,
                fmt::format("standard output cannot be written: {}", std::strerror(errno)));
}

Outcome make_keys(const Settings& settings) {
  const auto identity_path = identity_key_file(settings);
  const auto wireguard_path = wireguard_key_file(settings);
  for (const auto& path : {identity_path, wireguard_path}) {
    if (auto free = refuse_existing(path); !free) return free;
  }
  const auto identity = crypto::IdentityKeyPair::generate();
  if (auto written = write_key_file(identity_path, identity.seed, identity_comment); !written) {
    return written;
  }
  auto wireguard = crypto::X25519KeyPair::generate();
  // The same key, as `wg genkey` would print it: RFC 7748's clamping is otherwise done at each use.
  const auto bytes = wireguard.secret.mutable_bytes();
  bytes[0] = static_cast<std::uint8_t>(bytes[0] & 0xf8);
  bytes[31] = static_cast<std::uint8_t>((bytes[31] & 0x7f) | 0x40);
  auto written = write_key_file(wireguard_path, wireguard.secret, "");
  if (!written) ::unlink(identity_path.c_str());
  return written;
}

Outcome init(const config::Layer& flags) {
  config::Layers layers;
  layers.from_flags = flags;
  Settings base;
  base.data_dir = initial_data_dir(flags);
  const auto resolved = config::resolve(layers, base);
  if (!resolved) return std::unexpected(resolved.error());
  const Settings& settings = resolved->settings;
  config::Layer chosen = flags;
  chosen.erase("data_dir");

  const auto file = config_file(settings.data_dir);
  if (is_there(file) && !chosen.empty()) {
    return refuse(
        ExitCode::cannot_create,
        file.string() + ": is there already: settings given to init would not get into it");
  }
  if (auto made = make_data_dir(settings.data_dir); !made) return made;
  if (auto made = make_keys(settings); !made) return made;
  std::string written = fmt::format("{} and {}", identity_key_file(settings).string(),
                                    wireguard_key_file(settings).string());
  if (is_there(file)) {
    note(file.string() + ": is there already and stays as it is");
  } else {
    const auto made = create_file(file, config::commented_file(chosen, settings), 0600);
    if (!made) return made;
    written = fmt::format("{}, {}", file.string(), written);
  }
  note("wrote " + written);
  return print_identity({.flags = flags, .config_file = file}, false);
}

Outcome print_identity(const SettingsSource& source, bool json) {
  Settings settings;
  settings.data_dir = find_data_dir(source);
  const auto pair = read_identity(settings);
  if (!pair) return std::unexpected(pair.error());
  const std::string identity = pair->identity.to_base58();
  if (!json) return print(identity + '\n');
  const boost::json::value value{{"identity", identity},
                                 {"lp_public_key", to_base58(pair->to_x25519().public_key.bytes)}};
  return print(boost::json::serialize(value) + '\n');
}

Outcome check_config(const SettingsSource& source) {
  const auto resolved = load_settings(source);
  if (!resolved) return std::unexpected(resolved.error());
  if (auto printed = print(config::effective_file(*resolved)); !printed) return printed;
  const Settings& settings = resolved->settings;
  if (auto checked = check_settings(settings); !checked) return checked;
  for (const auto& [path, what] : {std::pair(identity_key_file(settings), "identity key"),
                                   std::pair(wireguard_key_file(settings), "WireGuard key")}) {
    if (!is_there(path)) {
      note(fmt::format("{}: there is no {} yet; lp-gateway init makes it", path.string(), what));
    } else if (auto key = read_key_file(path, what); !key) {
      return std::unexpected(key.error());
    }
  }
  return {};
}

std::expected<std::string, Refusal> ask_gateway(const SettingsSource& source,
                                                std::string_view line) {
  const auto path = control_socket(find_data_dir(source));
  if (::access(path.c_str(), W_OK) != 0 && errno == EACCES) {
    return refuse(ExitCode::no_permission,
                  path.string() +
                      ": the control socket is not this user's: ask as the gateway's "
                      "user or as root");
  }
  auto answer = control::request(path, line);
  if (!answer) return refuse(ExitCode::unavailable, answer.error());
  return std::move(*answer);
}

Outcome print_status(const SettingsSource& source, bool json) {
  const auto answer = ask_gateway(source, "status");
  if (!answer) return std::unexpected(answer.error());
  if (const std::string error = answer_error(*answer); !error.empty()) {
    return refuse(ExitCode::unavailable, "the gateway says: " + error);
  }
  return print(json ? *answer + '\n' : status_text(*answer));
}

}  // namespace lp::gateway::app
