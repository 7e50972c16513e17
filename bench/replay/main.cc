// lp-replay-bench: the replay window of this library, every kernel of it, beside what others use
// (lp-replay-bench(1)).
#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "bench/replay/gate.h"
#include "bench/replay/report.h"
#include "lib/cli/completion.h"
#include "lib/cli/standard_streams.h"
#include "lib/replay/dispatch.h"

namespace {

using lp::bench::Difference;
using lp::bench::Entrant;
using lp::bench::Plan;
using lp::bench::Report;
using lp::bench::TraceKind;
using lp::replay::Kernel;

struct Options {
  std::string format = "table";
  std::string svg;
  std::size_t rounds = 30;
  std::size_t batch_size = 256;
  std::uint64_t seed = 1;
  std::vector<std::string> traces;
  std::vector<std::string> kernels;
  bool list = false;
};

/// Prints why the arguments cannot be used.
int usage_error(const std::string& message) {
  fmt::print(stderr, "lp-replay-bench: {}\n", message);
  return EX_USAGE;
}

/// The supported kernels, the one in use first.
std::vector<const Kernel*> supported_kernels() {
  std::vector<const Kernel*> kernels = {lp::replay::selection().kernel};
  for (const auto& [kernel, supported] : lp::replay::candidates()) {
    if (supported && kernel != kernels.front()) kernels.push_back(kernel);
  }
  return kernels;
}

/// Those of `all` that are named, in the order of `all`; all where none is named. Sets `unknown`.
template <typename T, typename Name>
std::vector<T> named(const std::vector<T>& all, const std::vector<std::string>& names, Name name_of,
                     std::string& unknown) {
  if (names.empty()) return all;
  for (const std::string& name : names) {
    if (std::ranges::count(all, name, name_of) == 0) unknown = name;
  }
  std::vector<T> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const T& item) {
    return std::ranges::count(names, std::string(name_of(item))) != 0;
  });
  return chosen;
}

void print_list() {
  fmt::print("traces:\n");
  for (const TraceKind& trace : lp::bench::trace_kinds())
    fmt::print("  {:<14}  {}\n", trace.name, trace.what);
  fmt::print("kernels:\n");
  for (const auto& [kernel, supported] : lp::replay::candidates()) {
    const bool active = kernel == lp::replay::selection().kernel;
    fmt::print("  {:<14}  {}\n", kernel->name,
               active      ? "in use"
               : supported ? "supported"
                           : "not supported by this processor");
  }
  fmt::print(
      "others:\n"
      "  linux-ring      the ring of RFC 6479 and the Linux kernel, 2,048 bits\n"
      "  bit-clearing    a ring of 1,024 bits that is cleared bit by bit\n"
      "  shifting        a bitmap of 1,024 bits that is shifted\n");
}

std::string sentence(const Difference& difference) {
  return fmt::format("{} on {}: counter {} at {} should be {}", difference.entrant,
                     difference.trace, difference.counter, difference.index,
                     difference.accepted ? "refused" : "accepted");
}

/// False where a verdict of ours is wrong.
bool check_all(Report& report) {
  bool right = true;
  for (std::size_t round = 0; round < report.plan.rounds; ++round) {
    const auto differences = lp::bench::find_differences(
        report.entrants, report.traces, lp::bench::seed_of_round(report.plan.seed, round),
        report.plan.batch_size);
    for (const Difference& difference : differences) {
      if (difference.ours) {
        fmt::print(stderr, "lp-replay-bench: wrong verdict: {}\n", sentence(difference));
        right = false;
      } else if (round == 0) {
        report.not_exact.push_back(sentence(difference));
      }
    }
  }
  return right;
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file.good();
}

int run(const Options& options) {
  const auto& selection = lp::replay::selection();
  using Asked = lp::replay::Selection::Asked;
  if (selection.asked != Asked::nothing && selection.asked != Asked::used) {
    return usage_error(fmt::format("replay kernel: {}", lp::replay::describe(selection)));
  }
  if (options.list) {
    print_list();
    return EX_OK;
  }

  std::string unknown;
  const auto all_traces = lp::bench::trace_kinds();
  const auto traces = named(
      std::vector<TraceKind>(all_traces.begin(), all_traces.end()), options.traces,
      [](const TraceKind& t) { return t.name; }, unknown);
  if (!unknown.empty())
    return usage_error(fmt::format("--traces: no trace '{}'; see --list", unknown));
  const auto kernels = named(
      supported_kernels(), options.kernels,
      [](const Kernel* kernel) { return std::string_view(kernel->name); }, unknown);
  if (!unknown.empty()) {
    return usage_error(
        fmt::format("--kernels: no kernel '{}' on this machine; see --list", unknown));
  }

  Report report{.machine = lp::bench::this_machine(),
                .plan = {options.rounds, options.seed, options.batch_size},
                .traces = traces,
                .entrants = lp::bench::make_entrants(kernels),
                .samples = {},
                .not_exact = {}};
  if (!check_all(report)) return EXIT_FAILURE;
  report.samples = lp::bench::measure(report.entrants, report.traces, report.plan);

  const std::string text = options.format == "json"  ? to_json(report)
                           : options.format == "csv" ? to_csv(report)
                                                     : to_table(report);
  fmt::print("{}", text);
  if (std::fflush(stdout) != 0) {
    fmt::print(stderr, "lp-replay-bench: cannot write to standard output\n");
    return EX_IOERR;
  }
  if (!options.svg.empty() && !write_file(options.svg, to_svg(report))) {
    fmt::print(stderr, "lp-replay-bench: cannot write {}\n", options.svg);
    return EX_CANTCREAT;
  }
  if (const auto noisy = report.noisy(); !noisy.empty()) {
    fmt::print(stderr,
               "lp-replay-bench: too noisy: the same code measured twice differs by more than "
               "{} to {} on {}\n",
               lp::bench::lowest_again, lp::bench::highest_again, fmt::join(noisy, ", "));
    return EX_TEMPFAIL;
  }
  return EX_OK;
}

/// What is offered for a value is what --list prints.
int print_completion(const lp::cli::CompletionCommand& completion) {
  lp::cli::Hints hints{{"--format", {.words = {"table", "json", "csv"}}}};
  for (const TraceKind& trace : lp::bench::trace_kinds())
    hints["--traces"].words.emplace_back(trace.name);
  for (const Kernel* kernel : supported_kernels())
    hints["--kernels"].words.emplace_back(kernel->name);
  fmt::print("{}", completion.script(hints));
  return std::fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Measures the replay window beside those of others, after checking all verdicts",
               "lp-replay-bench");
  app.add_option("--format", options.format, "table, json or csv (every sample)")
      ->check(CLI::IsMember({"table", "json", "csv"}))
      ->capture_default_str();
  app.add_option("--svg", options.svg, "write a plot to this file")->type_name("FILE");
  app.add_option("--rounds", options.rounds, "rounds, each with traces of its own")
      ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
      ->capture_default_str();
  app.add_option("--batch", options.batch_size, "counters in a batch")
      ->check(CLI::Range(std::size_t{1}, lp::bench::trace_size))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the traces")->capture_default_str();
  app.add_option("--traces", options.traces, "only these traces")
      ->delimiter(',')
      ->type_name("NAME,...");
  app.add_option("--kernels", options.kernels, "only these kernels; others are always there")
      ->delimiter(',')
      ->type_name("NAME,...");
  app.add_flag("--list", options.list, "list traces, kernels and others, and exit");
  app.set_version_flag("--version", "lp-replay-bench " LP_BENCH_VERSION);
  const lp::cli::CompletionCommand completion(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return EX_USAGE;
    return lp::cli::standard_output_arrived() ? EX_OK : EX_IOERR;
  }
  if (completion.parsed()) return print_completion(completion);
  return run(options);
}
