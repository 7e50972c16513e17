// lp-replay-bench: that it times nothing wrong, says so when it cannot be believed, and that its
// traces are what they are called. Nothing here is about speed.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "bench/replay/gate.h"
#include "bench/replay/report.h"
#include "lib/replay/dispatch.h"
#include "lib/replay/kernels/kernels.h"
#include "tests/support/process.h"

namespace lp::bench {
namespace {

constexpr int noisy_exit = 75;

struct Ran {
  int code;
  std::string output;
  std::string errors;
};

Ran run_bench(std::vector<std::string> args, const std::string& kernel = "") {
  const auto finished = test::run({.program = test::program("lp-replay-bench"),
                                   .args = std::move(args),
                                   .environment = {{"LP_REPLAY_KERNEL", kernel}}});
  return {finished.ended.code.value_or(-1), finished.output, finished.error_output};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::vector<bool> accepted(const Entrant& entrant, const TraceKind& trace) {
  const auto counters = trace.make(1);
  const auto verdicts = std::make_unique<bool[]>(counters.size());
  entrant.accepted(counters, 64, std::span(verdicts.get(), counters.size()));
  return std::vector<bool>(verdicts.get(), verdicts.get() + counters.size());
}

const replay::Kernel* const scalar_only[] = {&replay::kernels::scalar};

TEST(ReplayBench, TraceIsNotWhatItIsCalled) {
  const auto entrant = make_entrants(scalar_only).front();
  const std::map<std::string_view, std::pair<std::size_t, std::size_t>> share = {
      {"sequential", {65'536, 65'536}},    {"shuffled-64", {65'536, 65'536}},
      {"shuffled-1024", {65'536, 65'536}}, {"duplicates", {1024, 1024}},
      {"twice", {32'768, 32'768}},         {"too-old", {1, 1}},
      {"long-jumps", {65'536, 65'536}},    {"jumps", {65'536, 65'536}},
      {"jumps-late", {65'536, 65'536}},    {"loss", {65'536, 65'536}},
      {"mixed", {64'500, 65'200}},
  };
  ASSERT_EQ(trace_kinds().size(), share.size());
  for (const TraceKind& trace : trace_kinds()) {
    const auto verdicts = accepted(entrant, trace);
    ASSERT_EQ(verdicts.size(), trace_size) << trace.name;
    const auto count = static_cast<std::size_t>(std::ranges::count(verdicts, true));
    const auto [least, most] = share.at(trace.name);
    EXPECT_TRUE(count >= least && count <= most) << trace.name << ": " << count << " accepted";
    EXPECT_EQ(trace.make(5), trace.make(5)) << trace.name;
  }
}

TEST(ReplayBench, OtherIsNotExact) {
  EXPECT_TRUE(find_differences(make_entrants(scalar_only), trace_kinds(), 3, 100).empty());
}

TEST(ReplayBench, WrongKernelIsTimed) {
  // A jump that leaves one word as it was.
  const replay::Kernel wrong = {"wrong",
                                [](replay::State* state, std::uint64_t word) noexcept {
                                  const std::uint64_t before = state->ring[5];
                                  replay::kernels::scalar_open(state, word);
                                  state->ring[5] = before;
                                },
                                replay::kernels::scalar.batch};
  const replay::Kernel* const kernels[] = {&wrong};
  const auto differences = find_differences(make_entrants(kernels), trace_kinds(), 1, 64);
  replay::use_kernel(*replay::selection().kernel);
  ASSERT_FALSE(differences.empty());
  for (const Difference& difference : differences) {
    EXPECT_TRUE(difference.ours);
    EXPECT_TRUE(difference.entrant == "wrong" || difference.entrant == "wrong-again");
  }
}

/// A report on two traces with made-up times.
Report made_up(double again) {
  Report report{.machine = {"<cpu> & co", "system", "compiler", "flags", "scalar"},
                .plan = {2, 1, 64},
                .traces = {trace_kinds()[0], trace_kinds()[1]},
                .entrants = make_entrants(scalar_only),
                .samples = {},
                .not_exact = {}};
  // linux-ring, bit-clearing, shifting, scalar, scalar-batch, scalar-again
  const std::vector<std::vector<double>> quiet = {{3, 4}, {5, 6}, {9, 8}, {2, 2.5}, {1, 1}, {2, 2}};
  report.samples = {quiet, quiet};
  report.samples[1].back() = {2 * again, 5};
  return report;
}

TEST(ReplayBench, RatioIsNotOfMinima) {
  const Ratios ratios = made_up(1).ratios(0);
  EXPECT_DOUBLE_EQ(ratios.best_other, 1.5);
  EXPECT_DOUBLE_EQ(ratios.bit_clearing, 2.5);
  EXPECT_DOUBLE_EQ(ratios.batch, 5);
  EXPECT_DOUBLE_EQ(ratios.again, 1);
}

TEST(ReplayBench, NoiseIsNotNoticed) {
  const std::vector<std::string_view> only_the_second = {"shuffled-64"};
  EXPECT_TRUE(made_up(0.951).noisy().empty());
  EXPECT_TRUE(made_up(1.079).noisy().empty());
  EXPECT_EQ(made_up(0.949).noisy(), only_the_second);
  EXPECT_EQ(made_up(1.081).noisy(), only_the_second);
}

TEST(ReplayBench, PlotIsBrokenByAProcessorsName) {
  const std::string svg = to_svg(made_up(1));
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  EXPECT_TRUE(contains(svg, "&lt;cpu&gt; &amp; co"));
  for (const char* part : {"sequential", "shuffled-64", "bit-clearing", "scalar-batch"})
    EXPECT_TRUE(contains(svg, part)) << part;
}

TEST(ReplayBench, FormatLacksWhatWasMeasured) {
  const test::TempDir dir;
  const auto plot = (dir / "plot.svg").string();
  const Ran json = run_bench({"--rounds", "2", "--traces", "twice,loss", "--kernels", "scalar",
                              "--format", "json", "--svg", plot},
                             "scalar");
  ASSERT_TRUE(json.code == 0 || json.code == noisy_exit) << json.errors;
  const auto all = boost::json::parse(json.output).as_object();
  EXPECT_EQ(all.at("replay_kernel").as_string(), "scalar (LP_REPLAY_KERNEL)");
  EXPECT_EQ(all.at("traces").as_array().size(), 2U);
  EXPECT_EQ(all.at("too_noisy").as_array().empty(), json.code == 0);
  const auto& trace = all.at("traces").as_array().at(0).as_object();
  EXPECT_EQ(trace.at("name").as_string(), "twice");
  EXPECT_EQ(trace.at("entrants").as_array().size(), 6U);
  for (const auto& entrant : trace.at("entrants").as_array())
    EXPECT_EQ(entrant.as_object().at("samples_ns").as_array().size(), 2U);
  EXPECT_TRUE(test::read_file(plot).ends_with("</svg>\n"));

  const Ran csv =
      run_bench({"--rounds", "2", "--traces", "twice", "--kernels", "scalar", "--format", "csv"});
  EXPECT_EQ(std::ranges::count(csv.output, '\n'), 2 + 6 * 2);
  const Ran table = run_bench({"--rounds", "1", "--traces", "twice", "--kernels", "scalar"});
  for (const char* part : {"cpu ", "compiler ", "flags ", "seed ", "bit-clearing", "scalar-batch"})
    EXPECT_TRUE(contains(table.output, part)) << part;
}

TEST(ReplayBench, KernelThatIsForcedIsNotTheOneInUse) {
  EXPECT_TRUE(contains(run_bench({"--list"}, "scalar").output, "  scalar          in use\n"));
  const Ran unknown = run_bench({"--list"}, "avx9");
  EXPECT_EQ(unknown.code, 64);
  EXPECT_TRUE(contains(unknown.errors, "LP_REPLAY_KERNEL=avx9 ignored: this build has "))
      << unknown.errors;
}

TEST(ReplayBench, WrongUsageIsNotNamed) {
  const auto refused = [](std::vector<std::string> args, std::string_view part) {
    const Ran ran = run_bench(std::move(args));
    EXPECT_EQ(ran.code, 64) << part;
    EXPECT_TRUE(contains(ran.errors, part)) << ran.errors;
  };
  refused({"--traces", "twice,nothing"}, "no trace 'nothing'");
  refused({"--kernels", "avx9"}, "no kernel 'avx9'");
  refused({"--format", "xml"}, "--format");
  refused({"--rounds", "0"}, "--rounds");
  refused({"--batch", "0"}, "--batch");
  refused({"something"}, "something");
  const Ran plot = run_bench({"--rounds", "1", "--traces", "twice", "--svg", "/nowhere/plot.svg"});
  EXPECT_EQ(plot.code, 73);
  EXPECT_TRUE(contains(plot.errors, "/nowhere/plot.svg"));
}

}  // namespace
}  // namespace lp::bench
