#include "tools/issuer/commands.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>

#include "lib/base/encoding.h"
#include "tools/issuer/data_dir.h"
#include "tools/issuer/token.h"
#include "tools/issuer/values.h"

namespace lp::issuer {
namespace {

namespace json = boost::json;

UnixSeconds now() {
  return SystemWallClock().now();
}

void note(const std::string& sentence) {
  std::fprintf(stderr, "lp-issuer: %s\n", sentence.c_str());
}

std::string json_name(TicketType type) {
  return std::string(messages::name(type));
}

std::string_view state(const PublicKeyRow& key) {
  return now() < key.epoch.expiry ? "valid" : "expired";
}

std::string allowance_text(const TokenRow& token) {
  std::string text = token.allowed ? fmt::format("{}/{}", token.used, *token.allowed)
                                   : fmt::format("{}", token.used);
  for (const auto& [type, use] : token.types) {
    fmt::format_to(std::back_inserter(text), " {}={}/{}", messages::name(type), use.used,
                   use.allowed);
  }
  return text;
}

json::object to_json(const TokenRow& token) {
  json::object types;
  for (const auto& [type, use] : token.types)
    types[json_name(type)] = {{"allowed", use.allowed}, {"used", use.used}};
  json::object object{{"id", token.id},
                      {"label", token.label},
                      {"created_at", token.created_at},
                      {"revoked_at", nullptr},
                      {"allowed", nullptr},
                      {"used", token.used},
                      {"ticket_types", std::move(types)}};
  if (token.revoked_at) object["revoked_at"] = *token.revoked_at;
  if (token.allowed) object["allowed"] = *token.allowed;
  return object;
}

json::object to_json(const PublicKeyRow& key) {
  return {{"epoch_id", key.epoch.id},
          {"ticket_type", json_name(key.type)},
          {"expiry", key.epoch.expiry},
          {"state", std::string(state(key))},
          {"public_key", to_base64(key.public_key)}};
}

}  // namespace

Outcome print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return {};
  }
  return std::unexpected(
      Refusal{ExitCode::cannot_create,
              fmt::format("standard output cannot be written: {}", std::strerror(errno))});
}

Outcome init(const Options& options) {
  const Authority authority{
      .contract = options.contract.empty() ? generate_contract_address() : options.contract,
      .epoch_length = options.epoch_length,
      .retention = options.retention};
  const auto made = create_issuer(options.data_dir, authority, now());
  if (!made) return std::unexpected(made.error());
  note(fmt::format("wrote {}; the contract address is", database_file(options.data_dir).string()));
  return print(authority.contract + "\n");
}

Outcome add_token(const Options& options) {
  auto issuer = open_issuer(options.data_dir);
  if (!issuer) return std::unexpected(issuer.error());
  const std::string token = generate_token();
  const auto id =
      issuer->store.add_token(hash_token(token), options.label, options.allowances, now());
  if (!id) return std::unexpected(database_refusal(options.data_dir, id.error()));
  note(fmt::format("token {}, which only its bearer will have from now on:", *id));
  return print(token + "\n");
}

Outcome list_tokens(const Options& options) {
  auto issuer = open_issuer(options.data_dir);
  if (!issuer) return std::unexpected(issuer.error());
  const auto tokens = issuer->store.tokens();
  if (!tokens) return std::unexpected(database_refusal(options.data_dir, tokens.error()));
  if (options.json) {
    json::array array;
    for (const TokenRow& token : *tokens)
      array.push_back(to_json(token));
    return print(json::serialize(array) + "\n");
  }
  std::string text = "ID  CREATED               STATE    USED/ALLOWED  LABEL\n";
  for (const TokenRow& token : *tokens) {
    fmt::format_to(std::back_inserter(text), "{:<3} {}  {:<7}  {:<12}  {}\n", token.id,
                   print_time(token.created_at), token.revoked_at ? "revoked" : "valid",
                   allowance_text(token), token.label);
  }
  return print(text);
}

Outcome revoke_token(const Options& options) {
  auto issuer = open_issuer(options.data_dir);
  if (!issuer) return std::unexpected(issuer.error());
  const auto revoked = issuer->store.revoke_token(options.token, now());
  if (!revoked) return std::unexpected(database_refusal(options.data_dir, revoked.error()));
  if (*revoked) return {};
  return std::unexpected(Refusal{
      ExitCode::unavailable,
      fmt::format("there is no token {} that is not revoked; lp-issuer token list shows them",
                  options.token)});
}

Outcome list_keys(const Options& options) {
  auto issuer = open_issuer(options.data_dir);
  if (!issuer) return std::unexpected(issuer.error());
  const auto keys = issuer->store.public_keys();
  if (!keys) return std::unexpected(database_refusal(options.data_dir, keys.error()));
  if (options.json) {
    json::array array;
    for (const PublicKeyRow& key : *keys)
      array.push_back(to_json(key));
    const json::object object{{"contract", issuer->authority.contract},
                              {"epoch_length", issuer->authority.epoch_length},
                              {"retention", issuer->authority.retention},
                              {"keys", std::move(array)}};
    return print(json::serialize(object) + "\n");
  }
  std::string text = fmt::format(
      "contract {}, epochs of {}, kept {} after expiry\n", issuer->authority.contract,
      print_duration(issuer->authority.epoch_length), print_duration(issuer->authority.retention));
  text += "EPOCH  EXPIRY                STATE    TYPE              PUBLIC KEY\n";
  for (const PublicKeyRow& key : *keys) {
    fmt::format_to(std::back_inserter(text), "{:<5}  {}  {:<7}  {:<16}  {}\n", key.epoch.id,
                   print_time(key.epoch.expiry), state(key), messages::name(key.type),
                   to_base64(key.public_key));
  }
  return print(text);
}

Outcome rotate_keys(const Options& options) {
  auto issuer = open_issuer(options.data_dir);
  if (!issuer) return std::unexpected(issuer.error());
  Store& store = issuer->store;
  if (auto rotated = store.rotate(now()); !rotated) {
    return std::unexpected(database_refusal(options.data_dir, rotated.error()));
  }
  const auto next = store.next_expiry(now());
  if (!next) return std::unexpected(database_refusal(options.data_dir, next.error()));
  if (*next - now() > key_horizon) {
    return std::unexpected(
        Refusal{ExitCode::unavailable,
                fmt::format("the next epoch would expire at {}: gateways ask for no key that "
                            "expires more than {} ahead",
                            print_time(*next), print_duration(key_horizon))});
  }
  const auto epoch = store.add_epoch(now());
  if (!epoch) return std::unexpected(database_refusal(options.data_dir, epoch.error()));
  return print(fmt::format("epoch {} expires {}\n", epoch->id, print_time(epoch->expiry)));
}

}  // namespace lp::issuer
