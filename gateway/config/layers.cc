#include "gateway/config/layers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/config/toml_reader.h"
#include "gateway/config/values.h"
#include "lib/net/fetch.h"

namespace lp::gateway::config {
namespace {

constexpr std::size_t largest_file = 1 << 20;
constexpr std::string_view prefix = "LP_GATEWAY_";

std::unexpected<Refusal> refuse(std::string sentence) {
  return std::unexpected(Refusal{ExitCode::configuration, std::move(sentence)});
}

struct FileText {
  std::string text;
  bool open_to_others = false;  ///< group or others can read it
};

/// The whole file. A FIFO or a device is refused before it can block or never end.
std::expected<FileText, Refusal> file_text(const std::filesystem::path& path, bool required) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT && !required) return FileText();
    const ExitCode code = errno == EACCES ? ExitCode::no_permission : ExitCode::configuration;
    return std::unexpected(
        Refusal{code, fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno))});
  }
  struct stat status{};
  FileText file;
  bool complete = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  file.open_to_others = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
  std::array<char, 16'384> buffer;
  while (complete && file.text.size() <= largest_file) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count == 0) break;
    if (count > 0) file.text.append(buffer.data(), static_cast<std::size_t>(count));
    complete = count > 0 || errno == EINTR;
  }
  ::close(fd);
  if (!complete) return refuse(path.string() + ": is no regular file that can be read");
  if (file.text.size() > largest_file) return refuse(path.string() + ": is larger than 1 MiB");
  return file;
}

std::string unknown_key(std::string_view key) {
  const std::string_view nearest = nearest_key(key);
  return fmt::format("unknown key \"{}\"{}", key,
                     nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
}

/// What is wrong with a value of this kind for this setting; empty where nothing is.
std::string_view shape_error(const Setting& setting, const TomlValue& value) {
  using Kind = TomlValue::Kind;
  switch (setting.shape) {
    case Shape::text:
      return value.kind == Kind::string ? "" : "must be a string in quotes";
    case Shape::number:
      return value.kind == Kind::integer ? "" : "must be a whole number without quotes";
    case Shape::seconds:
      return value.kind == Kind::integer || value.kind == Kind::fraction
                 ? ""
                 : "must be a number of seconds without quotes";
    case Shape::boolean:
      return value.kind == Kind::boolean ? "" : "must be true or false without quotes";
    case Shape::list:
      break;
  }
  return value.kind == Kind::array || value.kind == Kind::string
             ? ""
             : "must be an array of strings like [\"a\", \"b\"]";
}

/// The address of the list that a wildcard of the same family takes in already; empty for none.
std::string_view covered_address(const std::vector<std::string>& addresses) {
  for (const std::string_view wildcard : {"0.0.0.0", "::"}) {
    if (std::find(addresses.begin(), addresses.end(), wildcard) == addresses.end()) continue;
    const bool ipv6 = wildcard.find(':') != std::string_view::npos;
    for (const std::string_view address : addresses) {
      const bool same_family = (address.find(':') != std::string_view::npos) == ipv6;
      if (address != wildcard && same_family) return address;
    }
  }
  return {};
}

/// A value that is quoted where it does not fit. It may be a URL that was meant for another
/// setting: a flag that ends with = takes the next argument.
std::vector<std::string> quotable_texts(std::vector<std::string> texts) {
  for (auto& text : texts)
    text = redacted_url(text);
  return texts;
}

/// Several instances on one database must be told apart, and each other's clients sent the right
/// way.
std::expected<void, Refusal> check_storage_combination(const Settings& settings) {
  if (!on_postgres(settings)) {
    if (settings.instance.empty()) return {};
    return refuse(
        "instance is set, and storage is SQLite, which one gateway has for itself: leave it out");
  }
  if (settings.instance.empty()) {
    return refuse(
        "storage is PostgreSQL, which several instances may share: set instance to the name of "
        "this one");
  }
  if (settings.wireguard_announced_address.empty()) {
    return refuse(
        "storage is PostgreSQL: set wireguard_announced_address, for other instances tell clients "
        "of this one's endpoint");
  }
  return {};
}

}  // namespace

std::expected<Layer, Refusal> read_file(const std::filesystem::path& path, bool required) {
  const auto file = file_text(path, required);
  if (!file) return std::unexpected(file.error());
  auto entries = read_toml(file->text);
  if (!entries) {
    return refuse(
        fmt::format("{}:{}: {}", path.string(), entries.error().line, entries.error().what));
  }
  Layer layer;
  for (auto& entry : *entries) {
    const std::string place = fmt::format("{}:{}: ", path.string(), entry.line);
    const Setting* setting = find_setting(entry.key);
    if (setting == nullptr) return refuse(place + unknown_key(entry.key));
    if (const auto wrong = shape_error(*setting, entry.value); !wrong.empty()) {
      return refuse(fmt::format("{}{} {}", place, entry.key, wrong));
    }
    if (file->open_to_others && holds_secret(*setting, entry.value.texts)) {
      return refuse(fmt::format("{}{} is a secret, and others can read the file: chmod 600 it",
                                place, entry.key));
    }
    layer[entry.key] = {std::move(entry.value.texts), place + entry.key};
  }
  return layer;
}

Layer read_environment(const Environment& environment) {
  Layer layer;
  for (const auto& setting : settings_table()) {
    const std::string name = setting.environment();
    const char* const value = environment(name.c_str());
    if (value == nullptr) continue;
    layer[std::string(setting.key)] = {split_value(setting, value), name};
  }
  return layer;
}

std::vector<std::string> environment_slips(const char* const* environ) {
  std::vector<std::string> slips;
  for (; *environ != nullptr; ++environ) {
    const std::string_view entry = *environ;
    if (!entry.starts_with(prefix)) continue;
    const std::string_view name = entry.substr(0, entry.find('='));
    std::string key(name.substr(prefix.size()));
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (find_setting(key) != nullptr) continue;
    const std::string_view nearest = nearest_key(key);
    if (nearest.empty()) continue;
    slips.push_back(fmt::format("{} in the environment is no setting; did you mean {}?", name,
                                find_setting(nearest)->environment()));
  }
  return slips;
}

std::vector<std::string> split_value(const Setting& setting, std::string_view text) {
  if (setting.shape != Shape::list) return {std::string(text)};
  std::vector<std::string> values;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    values.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) values.emplace_back();  // a comma at the end: refused as an empty value
  }
  return values;
}

std::expected<Resolved, Refusal> resolve(const Layers& layers, Settings base) {
  Resolved resolved{std::move(base), {}};
  for (const Layer* layer : {&layers.from_file, &layers.from_environment, &layers.from_flags}) {
    for (const auto& [key, given] : *layer) {
      const Setting* setting = find_setting(key);
      if (setting == nullptr) continue;
      // A value that a higher layer hides is checked all the same: it waits to become true.
      if (auto assigned = setting->assign(resolved.settings, given.texts); !assigned) {
        const bool quotable = !setting->secret && !given.texts.empty();
        return refuse(quotable ? fmt::format("{} {}, not {}", given.where, assigned.error(),
                                             toml_value(*setting, quotable_texts(given.texts)))
                               : fmt::format("{} {}", given.where, assigned.error()));
      }
      resolved.origin[key] = given.where;
    }
  }
  return resolved;
}

std::expected<void, Refusal> check_combination(const Settings& settings) {
  if (const auto address = covered_address(settings.bind_address); !address.empty()) {
    return refuse(fmt::format(
        "bind_address has {} and a wildcard address that takes it in: name one", address));
  }
  if (!settings.use_mock_ecash && settings.chain_url.empty()) {
    return refuse(
        "no chain is configured to verify tickets with: set chain_url and ecash_contract (or, for "
        "tests only, use_mock_ecash)");
  }
  if (settings.use_mock_ecash && !settings.allow_mock_on_public_address) {
    for (const auto& address : settings.bind_address) {
      if (is_loopback(address)) continue;
      return refuse(fmt::format(
          "use_mock_ecash with bind_address {} lets anybody who reaches it register for nothing: "
          "bind to 127.0.0.1, or add --allow-mock-on-public-address",
          address));
    }
  }
  if (!settings.use_mock_ecash && settings.ecash_contract.empty()) {
    return refuse("chain_url is set and ecash_contract is not: both belong together");
  }
  if (!settings.use_mock_ecash && !settings.allow_insecure_chain) {
    const auto url = net::Url::parse(settings.chain_url);
    if (url && !url->tls && !url->is_loopback()) {
      return refuse(
          fmt::format("chain_url is {} without TLS: who sits between can forge verification keys; "
                      "use https, or "
                      "add --allow-insecure-chain",
                      url->to_string()));
    }
  }
  return check_storage_combination(settings);
}

}  // namespace lp::gateway::config
