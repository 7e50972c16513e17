#include <cstdio>
#include <exception>

#include "lib/cli/standard_streams.h"
#include "lib/crypto/random.h"
#include "lib/log/log.h"
#include "tools/issuer/commands.h"
#include "tools/issuer/options.h"
#include "tools/issuer/run.h"

namespace lp::issuer {
namespace {

Outcome execute(const Options& options) {
  switch (options.command) {
    case Command::init:
      return init(options);
    case Command::run:
      return run(options);
    case Command::token_add:
      return add_token(options);
    case Command::token_list:
      return list_tokens(options);
    case Command::token_revoke:
      return revoke_token(options);
    case Command::keys_list:
      return list_keys(options);
    case Command::keys_rotate:
      return rotate_keys(options);
  }
  return std::unexpected(Refusal{ExitCode::internal, "there is no such command"});
}

int report(const Outcome& outcome) {
  if (outcome) return 0;
  log::flush();
  std::fprintf(stderr, "lp-issuer: %s\n", outcome.error().sentence.c_str());
  return static_cast<int>(outcome.error().code);
}

int issuer_main(int argc, const char* const* argv) {
  cli::open_standard_streams();
  // Libraries throw where memory or the system fails; nothing off the network gets here.
  try {
    if (!crypto::initialise()) {
      return report(std::unexpected(
          Refusal{ExitCode::internal, "no randomness: libsodium cannot be started"}));
    }
    const auto options = parse_options(argc, argv);
    return options ? report(execute(*options)) : options.error().exit_code;
  } catch (const std::exception& error) {
    return report(std::unexpected(Refusal{ExitCode::internal, error.what()}));
  }
}

}  // namespace
}  // namespace lp::issuer

int main(int argc, char** argv) {
  return lp::issuer::issuer_main(argc, argv);
}
