#include "gateway/app/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <ctime>
#include <optional>
#include <utility>

#include "gateway/app/data_dir.h"
#include "gateway/app/status.h"
#include "gateway/control/control_socket.h"
#include "gateway/ecash/key_cache_file.h"
#include "lib/base/encoding.h"
#include "lib/net/verification_keys_json.h"

namespace lp::gateway::app {
namespace {

namespace json = boost::json;
using ecash::Key;
using ecash::KnownKeys;

json::array rows(const char* state, const std::vector<Key>& keys) {
  json::array list = net::to_json(keys);
  for (auto& key : list)
    key.get_object()["state"] = state;
  return list;
}

json::object to_json(const KnownKeys& known, const std::string& problem) {
  json::array keys;
  for (auto& [state, list] :
       {std::pair("trusted", &known.trusted), std::pair("offered", &known.offered),
        std::pair("revoked", &known.revoked)}) {
    for (auto& row : rows(state, *list))
      keys.push_back(std::move(row));
  }
  return {{"ok", true},
          {"confirmed_at", known.confirmed_at},
          {"problem", problem},
          {"keys", std::move(keys)}};
}

std::string date(UnixSeconds time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string lines(const char* state, const std::vector<Key>& keys) {
  std::string text;
  for (const auto& key : keys) {
    text +=
        fmt::format("{:<8} {:<17} {:>6} {:>12} {:<19} {}\n", state, messages::name(key.type),
                    key.epoch_id, key.expiry, date(key.expiry), to_base64(key.public_key.encode()));
  }
  return text;
}

std::string to_text(const KnownKeys& known, const std::string& problem) {
  std::string text = fmt::format("{:<8} {:<17} {:>6} {:>12} {:<19} {}\n", "STATE", "TYPE", "EPOCH",
                                 "EXPIRY", "(UTC)", "PUBLIC KEY");
  text += lines("trusted", known.trusted) + lines("offered", known.offered) +
          lines("revoked", known.revoked);
  text += known.confirmed_at == 0
              ? "The chain has not given keys yet.\n"
              : fmt::format("The chain last gave keys at {} UTC.\n", date(known.confirmed_at));
  if (!problem.empty()) text += fmt::format("The last attempt to ask it failed: {}\n", problem);
  if (!known.offered.empty()) {
    text +=
        "Offered keys contradict what is known and are refused. Compare them with what the "
        "authority\nannounced; lp-gateway keys accept KEY takes one.\n";
  }
  return text;
}

/// What the gateway or its cache says, in the form of the control socket's answer.
struct Listing {
  KnownKeys known;
  std::string problem;
};

std::optional<std::vector<Key>> keys_in_state(const json::array& rows, std::string_view state) {
  json::array chosen;
  for (const auto& row : rows) {
    const auto* object = row.if_object();
    const auto* value = object == nullptr ? nullptr : object->if_contains("state");
    if (value == nullptr || !value->is_string()) return std::nullopt;
    if (std::string_view(value->get_string()) == state) chosen.push_back(row);
  }
  auto keys = net::keys_from_json(chosen);
  if (!keys) return std::nullopt;
  return std::move(*keys);
}

std::optional<Listing> parse_listing(std::string_view answer) {
  const auto document = net::parse_json(answer);
  const auto* object = document ? document->if_object() : nullptr;
  if (object == nullptr) return std::nullopt;
  const auto* rows = object->if_contains("keys");
  const auto* problem = object->if_contains("problem");
  const auto* confirmed_at = object->if_contains("confirmed_at");
  if (rows == nullptr || !rows->is_array() || problem == nullptr || !problem->is_string() ||
      confirmed_at == nullptr || !confirmed_at->is_int64()) {
    return std::nullopt;
  }
  auto trusted = keys_in_state(rows->get_array(), "trusted");
  auto offered = keys_in_state(rows->get_array(), "offered");
  auto revoked = keys_in_state(rows->get_array(), "revoked");
  if (!trusted || !offered || !revoked) return std::nullopt;
  return Listing{.known = {.trusted = std::move(*trusted),
                           .revoked = std::move(*revoked),
                           .offered = std::move(*offered),
                           .confirmed_at = static_cast<UnixSeconds>(confirmed_at->get_int64())},
                 .problem = std::string(problem->get_string())};
}

/// For work on the cache itself: the lock keeps a gateway from starting meanwhile.
struct OpenCache {
  ProcessLock lock;
  std::filesystem::path path;
  ecash::KeyCache cache;
};

/// `why_no_gateway` is told where a gateway holds the directory after all.
std::expected<OpenCache, Refusal> open_cache(const std::filesystem::path& data_dir,
                                             const std::string& why_no_gateway) {
  OpenCache open{.lock = {}, .path = key_cache_file(data_dir), .cache = {}};
  auto cache = ecash::read_key_cache(open.path);
  if (!cache) return refuse(ExitCode::configuration, cache.error());
  if (!*cache) {
    return refuse(ExitCode::unavailable,
                  fmt::format("{}, and {} is not there yet", why_no_gateway, open.path.string()));
  }
  auto lock = ProcessLock::take_data_dir(data_dir);
  if (!lock) {
    return refuse(lock.error().code, fmt::format("{}; {}", why_no_gateway, lock.error().sentence));
  }
  open.lock = std::move(*lock);
  open.cache = std::move(**cache);
  return open;
}

Outcome accept_in_cache(OpenCache open, const std::vector<std::string>& prefixes) {
  for (const auto& prefix : prefixes) {
    auto accepted = ecash::accept(open.cache.known, prefix);
    if (!accepted) {
      return refuse(ExitCode::unavailable, fmt::format("{}: {}", prefix, accepted.error()));
    }
    open.cache.known = std::move(accepted->known);
  }
  const auto written = ecash::write_key_cache(open.path, open.cache);
  if (!written) return refuse(ExitCode::cannot_create, written.error());
  return {};
}

bool is_base64(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
  });
}

}  // namespace

std::string answer_keys(const std::vector<std::string>& words, ecash::EcashManager* manager) {
  if (manager == nullptr) return refusal_json("this gateway verifies no tickets: it has no keys");
  if (words.size() == 1) {
    const auto status = manager->keys();
    return json::serialize(to_json(*status.known, status.problem));
  }
  if (words.size() != 3 || words[1] != "accept") return refusal_json("no such request");
  const auto accepted = manager->accept_key(words[2]);
  if (!accepted) return refusal_json(fmt::format("{}: {}", words[2], accepted.error()));
  return json::serialize(json::value{{"ok", true}});
}

Outcome list_keys(const SettingsSource& source, bool json) {
  const auto data_dir = find_data_dir(source);
  Listing listing;
  if (const auto answer = control::request(control_socket(data_dir), "keys")) {
    if (auto error = answer_error(*answer); !error.empty()) {
      return refuse(ExitCode::unavailable, std::move(error));
    }
    auto parsed = parse_listing(*answer);
    if (!parsed) return refuse(ExitCode::unavailable, "the gateway's answer is none");
    listing = std::move(*parsed);
  } else {
    const auto cache = ecash::read_key_cache(key_cache_file(data_dir));
    if (!cache) return refuse(ExitCode::configuration, cache.error());
    if (!*cache) {
      return refuse(ExitCode::unavailable,
                    fmt::format("{}, and it has left no keys behind", answer.error()));
    }
    listing.known = (*cache)->known;
  }
  return print(json ? json::serialize(to_json(listing.known, listing.problem)) + '\n'
                    : to_text(listing.known, listing.problem));
}

Outcome accept_keys(const SettingsSource& source, const std::vector<std::string>& prefixes) {
  for (const auto& prefix : prefixes) {
    if (!is_base64(prefix)) return refuse(ExitCode::usage, "a key is named in base64");
  }
  const auto data_dir = find_data_dir(source);
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    const auto answer = control::request(control_socket(data_dir), "keys accept " + prefixes[i]);
    if (!answer) {
      auto open = open_cache(data_dir, answer.error());
      if (!open) return std::unexpected(open.error());
      return accept_in_cache(std::move(*open),
                             {prefixes.begin() + static_cast<long>(i), prefixes.end()});
    }
    if (auto error = answer_error(*answer); !error.empty()) {
      return refuse(ExitCode::unavailable, std::move(error));
    }
  }
  return {};
}

}  // namespace lp::gateway::app
