// The command line of lp-issuer, and LP_ISSUER_* of the environment (lp-issuer(8)).
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/log/log.h"
#include "tools/issuer/epochs.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

enum class Command : std::uint8_t {
  init,
  run,
  token_add,
  token_list,
  token_revoke,
  keys_list,
  keys_rotate,
};

/// As given; checked but for what needs the system.
struct Options {
  Command command = Command::run;
  std::filesystem::path data_dir{"/var/lib/lp-issuer"};
  bool json = false;

  // init, run --ephemeral
  std::string contract;  ///< empty: a new one
  std::uint64_t epoch_length = default_epoch_length;
  std::uint64_t retention = default_retention;

  // run
  bool ephemeral = false;
  std::string http_address{"127.0.0.1"};
  std::uint16_t http_port = 8090;
  std::filesystem::path tls_cert;
  std::filesystem::path tls_key;
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::automatic;

  // token; run --ephemeral
  std::string label;
  Allowances allowances;
  TokenId token = 0;
};

/// What parsing ended with, where that is not options to go on with.
struct ParseEnd {
  int exit_code = 0;
};

/// Prints help and version to standard output, and what is wrong with the arguments to standard
/// error.
[[nodiscard]] std::expected<Options, ParseEnd> parse_options(int argc, const char* const* argv);

}  // namespace lp::issuer
