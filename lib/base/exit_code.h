// Exit codes of the programs: those of sysexits(3) that they use (lp-gateway(8), "EXIT STATUS").
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace lp {

enum class ExitCode : int {
  ok = 0,
  usage = 64,          ///< an unknown command or flag, a flag without its value
  unavailable = 69,    ///< port in use, database corrupt or busy, nobody to ask
  internal = 70,       ///< a defect of this program or of the system
  cannot_create = 73,  ///< a file or directory cannot be made, or is there already
  no_permission = 77,  ///< a file or port is not allowed to this user
  configuration = 78,  ///< settings or key files that do not do
};

/// Why a command or the start was refused: one sentence, without full stop.
struct Refusal {
  ExitCode code = ExitCode::internal;
  std::string sentence;
};
[[nodiscard]] inline std::unexpected<Refusal> refuse(ExitCode code, std::string sentence) {
  return std::unexpected(Refusal{code, std::move(sentence)});
}

}  // namespace lp
