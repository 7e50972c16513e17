// What a run found, and its forms.
#pragma once

#include <string>
#include <vector>

#include "bench/replay/entrants.h"
#include "bench/replay/measure.h"
#include "bench/replay/traces.h"

namespace lp::bench {

/// What a figure depends on besides the code.
struct Machine {
  std::string cpu;
  std::string system;
  std::string compiler;
  std::string flags;
  std::string kernel;  ///< the replay kernel in use, and why
};
Machine this_machine();

/// A trace's headline: how many times as long others take, by their minima.
struct Ratios {
  double best_other;    ///< the fastest of the others against our single call
  double bit_clearing;  ///< against our single call
  double batch;         ///< bit-clearing against our batch
  double again;         ///< our single call, against itself
};

struct Report {
  Machine machine;
  Plan plan;
  std::vector<TraceKind> traces;
  std::vector<Entrant> entrants;
  Samples samples;
  std::vector<std::string> not_exact;  ///< others whose verdicts differ, one sentence each

  /// Of the kernel that comes first among the entrants.
  [[nodiscard]] Ratios ratios(std::size_t trace) const;
  /// The traces on which the same code, measured twice, differs by more than can be believed.
  [[nodiscard]] std::vector<std::string_view> noisy() const;
};

/// Two measurements of one thing agree if their ratio lies here.
constexpr double lowest_again = 0.95;
constexpr double highest_again = 1.08;

std::string to_table(const Report& report);
std::string to_json(const Report& report);
/// Every sample: a line for each trace, entrant and round.
std::string to_csv(const Report& report);
/// A panel for each trace, a bar for each entrant, on a logarithmic scale.
std::string to_svg(const Report& report);

}  // namespace lp::bench
