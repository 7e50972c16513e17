#include "lib/replay/dispatch.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "lib/replay/kernels/kernels.h"
#include "lib/replay/known_answers.h"

namespace lp::replay {
namespace {

/// A name given in the environment, as it may be printed: it could hold anything.
std::string printable(std::string_view name) {
  constexpr std::size_t longest = 32;
  std::string text(name.substr(0, longest));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (name.size() > longest) text += "...";
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Chooses while static objects are made, before there can be a second thread.
const Selection chosen = [] {
  Selection selection = select(candidates(), std::getenv("LP_REPLAY_KERNEL"));
  if (selection.kernel == nullptr) {
    // Not even plain code gives the known answers: a broken build or a broken machine. A window
    // that may accept replays must not be used at all.
    std::fputs("lp: no replay kernel gives the known answers on this machine\n", stderr);
    std::abort();
  }
  use_kernel(*selection.kernel);
  return selection;
}();

}  // namespace

constinit const Kernel* active_kernel = &kernels::scalar;

std::vector<Candidate> candidates() {
#if defined(__x86_64__)
  // The two features that avx2.cc is compiled for. Includes what the operating system saves.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  return {{&kernels::avx2, avx2}, {&kernels::sse2, true}, {&kernels::scalar, true}};
#elif defined(__aarch64__)
  return {{&kernels::neon, true}, {&kernels::scalar, true}};
#else
  return {{&kernels::scalar, true}};
#endif
}

Selection select(std::span<const Candidate> kernels, const char* asked) {
  Selection selection{.kernel = nullptr};
  for (const auto& [kernel, supported] : kernels)
    selection.known.emplace_back(kernel->name);

  const auto usable = [&selection](const Kernel& kernel) {
    if (gives_known_answers(kernel)) return true;
    if (!std::ranges::count(selection.wrong, kernel.name))
      selection.wrong.emplace_back(kernel.name);
    return false;
  };

  if (asked != nullptr && *asked != '\0') {
    selection.asked_name = asked;
    const auto found = std::ranges::find(kernels, selection.asked_name, [](const Candidate& c) {
      return std::string(c.kernel->name);
    });
    if (found == kernels.end()) {
      selection.asked = Selection::Asked::unknown;
    } else if (!found->supported) {
      selection.asked = Selection::Asked::unsupported;
    } else if (!usable(*found->kernel)) {
      selection.asked = Selection::Asked::wrong;
    } else {
      selection.asked = Selection::Asked::used;
      selection.kernel = found->kernel;
      return selection;
    }
  }
  for (const auto& [kernel, supported] : kernels) {
    if (!supported || !usable(*kernel)) continue;
    selection.kernel = kernel;
    break;
  }
  return selection;
}

const Selection& selection() {
  return chosen;
}

std::string describe(const Selection& selection) {
  std::string text = selection.kernel == nullptr ? "none" : selection.kernel->name;
  switch (selection.asked) {
    case Selection::Asked::nothing:
      break;
    case Selection::Asked::used:
      text += " (LP_REPLAY_KERNEL)";
      break;
    case Selection::Asked::unknown:
      text += " (LP_REPLAY_KERNEL=" + printable(selection.asked_name) +
              " ignored: this build has " + joined(selection.known) + ")";
      break;
    case Selection::Asked::unsupported:
      text += " (LP_REPLAY_KERNEL=" + selection.asked_name +
              " ignored: not supported by this processor)";
      break;
    case Selection::Asked::wrong:
      text += " (LP_REPLAY_KERNEL=" + selection.asked_name + " ignored)";
      break;
  }
  if (!selection.wrong.empty()) {
    text += " (not used, for they gave wrong answers: " + joined(selection.wrong) + ")";
  }
  return text;
}

void use_kernel(const Kernel& kernel) noexcept {
  active_kernel = &kernel;
}

}  // namespace lp::replay
