#include "bench/replay/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <limits>

#include "bench/median.h"
#include "lib/replay/dispatch.h"

namespace lp::bench {
namespace {

#ifdef __clang__
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string header(const Report& report) {
  const Machine& machine = report.machine;
  return fmt::format(
      "cpu            {}\n"
      "system         {}\n"
      "compiler       {}\n"
      "flags          {}\n"
      "replay kernel  {}\n"
      "seed           {}\n"
      "rounds         {} of {} counters a trace, batches of {}\n",
      machine.cpu, machine.system, machine.compiler, machine.flags, machine.kernel,
      report.plan.seed, report.plan.rounds, trace_size, report.plan.batch_size);
}

std::string minima_table(const Report& report) {
  std::string text = fmt::format("{:<14}", "");
  for (const Entrant& entrant : report.entrants)
    text += fmt::format("  {}", entrant.name);
  text += '\n';
  for (std::size_t t = 0; t < report.traces.size(); ++t) {
    text += fmt::format("{:<14}", report.traces[t].name);
    for (std::size_t e = 0; e < report.entrants.size(); ++e) {
      text +=
          fmt::format("  {:>{}.2f}", minimum(report.samples[t][e]), report.entrants[e].name.size());
    }
    text += '\n';
  }
  return text;
}

std::string ratio_table(const Report& report) {
  std::string text = fmt::format("{:<14}  {:>10}  {:>12}  {:>5}  {:>5}\n", "", "best-other",
                                 "bit-clearing", "batch", "again");
  for (std::size_t t = 0; t < report.traces.size(); ++t) {
    const Ratios ratios = report.ratios(t);
    text += fmt::format("{:<14}  {:>10.2f}  {:>12.2f}  {:>5.2f}  {:>5.3f}\n", report.traces[t].name,
                        ratios.best_other, ratios.bit_clearing, ratios.batch, ratios.again);
  }
  return text;
}

}  // namespace

Machine this_machine() {
  utsname name{};
  ::uname(&name);
  return {.cpu = cpu_model(),
          .system = fmt::format("{} {} {}", name.sysname, name.release, name.machine),
          .compiler = compiler,
          .flags = LP_BENCH_FLAGS,
          .kernel = replay::describe(replay::selection())};
}

Ratios Report::ratios(std::size_t trace) const {
  double best_other = std::numeric_limits<double>::infinity();
  double bit_clearing = 0;
  double single = 0;
  double batch = 0;
  double again = 0;
  for (std::size_t e = 0; e < entrants.size(); ++e) {
    const double time = minimum(samples[trace][e]);
    const Entrant& entrant = entrants[e];
    if (entrant.kind == Entrant::Kind::other) best_other = std::min(best_other, time);
    if (entrant.name == "bit-clearing") bit_clearing = time;
    if (entrant.kind == Entrant::Kind::single && single == 0) single = time;
    if (entrant.kind == Entrant::Kind::batch && batch == 0) batch = time;
    if (entrant.kind == Entrant::Kind::again) again = time;
  }
  return {.best_other = best_other / single,
          .bit_clearing = bit_clearing / single,
          .batch = bit_clearing / batch,
          .again = again / single};
}

std::vector<std::string_view> Report::noisy() const {
  std::vector<std::string_view> names;
  for (std::size_t t = 0; t < traces.size(); ++t) {
    const double again = ratios(t).again;
    if (again < lowest_again || again > highest_again) names.push_back(traces[t].name);
  }
  return names;
}

std::string to_table(const Report& report) {
  const auto& first = *std::ranges::find(report.entrants, Entrant::Kind::single, &Entrant::kind);
  std::string text = header(report);
  text += "\nNanoseconds per counter, minimum of the rounds:\n\n" + minima_table(report);
  text += fmt::format(
      "\nRatios of minima: how many times as long as {} the fastest of the others takes, and the\n"
      "bit-clearing bitmap; the latter against batches; and {} against itself:\n\n",
      first.name, first.name);
  text += ratio_table(report);
  for (const std::string& sentence : report.not_exact)
    text += fmt::format("\nNot exact: {}\n", sentence);
  return text;
}

std::string to_json(const Report& report) {
  boost::json::array traces;
  for (std::size_t t = 0; t < report.traces.size(); ++t) {
    boost::json::array entrants;
    for (std::size_t e = 0; e < report.entrants.size(); ++e) {
      const auto& samples = report.samples[t][e];
      entrants.push_back(boost::json::object{{"name", report.entrants[e].name},
                                             {"ours", report.entrants[e].ours()},
                                             {"min_ns", minimum(samples)},
                                             {"median_ns", median(samples)},
                                             {"samples_ns", boost::json::value_from(samples)}});
    }
    const Ratios ratios = report.ratios(t);
    traces.push_back(boost::json::object{{"name", std::string(report.traces[t].name)},
                                         {"best_other", ratios.best_other},
                                         {"bit_clearing", ratios.bit_clearing},
                                         {"batch", ratios.batch},
                                         {"again", ratios.again},
                                         {"entrants", std::move(entrants)}});
  }
  boost::json::array noisy;
  for (const std::string_view name : report.noisy())
    noisy.emplace_back(std::string(name));
  const boost::json::object all{{"cpu", report.machine.cpu},
                                {"system", report.machine.system},
                                {"compiler", report.machine.compiler},
                                {"flags", report.machine.flags},
                                {"replay_kernel", report.machine.kernel},
                                {"seed", report.plan.seed},
                                {"rounds", report.plan.rounds},
                                {"counters", trace_size},
                                {"batch", report.plan.batch_size},
                                {"too_noisy", std::move(noisy)},
                                {"not_exact", boost::json::value_from(report.not_exact)},
                                {"traces", std::move(traces)}};
  return boost::json::serialize(all) + '\n';
}

std::string to_csv(const Report& report) {
  const Machine& machine = report.machine;
  std::string text = fmt::format("# {}; {}; {}; {}; replay kernel {}; seed {}; batches of {}\n",
                                 machine.cpu, machine.system, machine.compiler, machine.flags,
                                 machine.kernel, report.plan.seed, report.plan.batch_size);
  text += "trace,entrant,round,ns\n";
  for (std::size_t t = 0; t < report.traces.size(); ++t) {
    for (std::size_t e = 0; e < report.entrants.size(); ++e) {
      for (std::size_t round = 0; round < report.plan.rounds; ++round) {
        text += fmt::format("{},{},{},{:.4f}\n", report.traces[t].name, report.entrants[e].name,
                            round, report.samples[t][e][round]);
      }
    }
  }
  return text;
}

}  // namespace lp::bench
