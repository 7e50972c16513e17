// A PostgreSQL connection URL. It may hold a password, which no text of ours may show.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/postgres/error.h"

namespace lp::postgres {

class Url {
 public:
  /// Whether the text is meant as one: "postgresql://…" or "postgres://…".
  [[nodiscard]] static bool looks_like(std::string_view text) noexcept;
  /// Takes what libpq takes: postgresql://user:password@host:port/database?key=value. Fails with
  /// invalid; the detail does not repeat the text.
  [[nodiscard]] static Result<Url> parse(std::string_view text);

  /// For people and logs: user, hosts and database, without password and parameters.
  [[nodiscard]] const std::string& display() const noexcept { return display_; }
  /// What libpq connects with, secrets included. Waiting is bounded where the URL does not say
  /// otherwise: connect_timeout, keepalives, tcp_user_timeout; of several servers the one that can
  /// be written is taken (target_session_attrs).
  [[nodiscard]] std::string connection_string(std::string_view application_name) const;
  /// The same without password and other secrets: fit for the command line of another program.
  [[nodiscard]] std::string connection_string_without_secrets(
      std::string_view application_name) const;
  /// Empty where the URL has none.
  [[nodiscard]] std::string_view password() const noexcept { return value_of("password"); }
  /// The text with every secret of this URL replaced: for messages that come from libpq.
  [[nodiscard]] std::string redact(std::string text) const;

 private:
  Url() = default;
  [[nodiscard]] std::string_view value_of(std::string_view keyword) const noexcept;
  [[nodiscard]] std::string connection_string(std::string_view application_name,
                                              bool with_secrets) const;

  std::vector<std::pair<std::string, std::string>> parameters_;
  std::vector<std::string> secrets_;
  std::string display_;
};

}  // namespace lp::postgres
