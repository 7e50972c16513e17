#include "lib/postgres/url.h"

#include <fmt/core.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <memory>

namespace lp::postgres {
namespace {

// What the URL may set otherwise. A server that has vanished is noticed within some ten seconds.
constexpr std::array<std::pair<const char*, const char*>, 8> defaults{{
    {"connect_timeout", "3"},  // seconds, for each address
    {"keepalives", "1"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},  // milliseconds
    {"target_session_attrs", "read-write"},
    {"client_encoding", "UTF8"},
}};

struct FreeOptions {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

/// 'it\'s'
std::string quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

/// An @ or / in a password that is not written %40 or %2F: libpq takes what follows for the host or
/// the database, and neither is a secret.
bool has_bare_password(std::string_view text) {
  text.remove_prefix(text.find("://") + 3);
  text = text.substr(0, text.find('?'));
  const auto authority = text.substr(0, text.find('/'));
  const auto path = text.substr(authority.size());
  return std::ranges::count(authority, '@') > 1 || path.find('@') != std::string_view::npos;
}

}  // namespace

bool Url::looks_like(std::string_view text) noexcept {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

Result<Url> Url::parse(std::string_view text) {
  const auto bad = [](std::string_view reason) {
    return fail(Error::Kind::invalid, fmt::format("is no PostgreSQL URL: {}", reason));
  };
  if (!looks_like(text)) return bad("it does not begin with postgresql://");
  if (text.find('\0') != std::string_view::npos) return bad("it holds a zero byte");
  if (has_bare_password(text)) return bad("in a user or password @ is written %40, and / %2F");
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfoParse(std::string(text).c_str(), &message));
  // libpq's sentence quotes what it did not understand, which may be a part of the password.
  PQfreemem(message);
  if (!options) {
    return bad("postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?KEY=VALUE] is one");
  }
  Url url;
  for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    url.parameters_.emplace_back(option->keyword, option->val);
    // "*" marks what a dialogue would hide.
    const bool secret = option->dispchar != nullptr && *option->dispchar == '*';
    if (secret && *option->val != '\0') url.secrets_.emplace_back(option->val);
  }
  // The longest first: one may be a part of another.
  std::ranges::sort(url.secrets_, std::ranges::greater(), &std::string::size);
  const auto user = url.value_of("user");
  const auto host = url.value_of("host");
  const auto port = url.value_of("port");
  url.display_ = fmt::format("postgresql://{}{}{}{}{}/{}", user, user.empty() ? "" : "@",
                             host.starts_with('/') ? "" : host,
                             port.empty() || host.starts_with('/') ? "" : ":",
                             host.starts_with('/') ? "" : port, url.value_of("dbname"));
  return url;
}

std::string_view Url::value_of(std::string_view keyword) const noexcept {
  for (const auto& [key, value] : parameters_) {
    if (key == keyword) return value;
  }
  return {};
}

std::string Url::connection_string(std::string_view application_name) const {
  return connection_string(application_name, true);
}

std::string Url::connection_string_without_secrets(std::string_view application_name) const {
  return connection_string(application_name, false);
}

std::string Url::connection_string(std::string_view application_name, bool with_secrets) const {
  std::string text = fmt::format("fallback_application_name={}", quoted(application_name));
  for (const auto& [key, value] : defaults) {
    if (value_of(key).empty()) text += fmt::format(" {}={}", key, quoted(value));
  }
  for (const auto& [key, value] : parameters_) {
    if (!with_secrets && (key == "password" || key == "sslpassword")) continue;
    text += fmt::format(" {}={}", key, quoted(value));
  }
  return text;
}

std::string Url::redact(std::string text) const {
  for (const auto& secret : secrets_) {
    constexpr std::string_view replacement = "[redacted]";
    for (auto at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + replacement.size())) {
      text.replace(at, secret.size(), replacement);
    }
  }
  return text;
}

}  // namespace lp::postgres
