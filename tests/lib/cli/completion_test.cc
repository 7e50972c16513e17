// The completions that the programs print, in the shells that they are for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "tests/support/process.h"

namespace lp::test {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;
using Words = std::vector<std::string>;

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

std::string completion(const std::string& name, const std::string& shell) {
  const auto done = run({.program = program(name), .args = {"completion", shell}});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_EQ(done.error_output, "");
  return done.output;
}

/// What --help of a command shows.
struct Help {
  Words options;  ///< all names
  Words commands;
};

Help help_of(const std::string& name, Words command) {
  command.emplace_back("--help");
  const auto done = run({.program = program(name), .args = command});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  Help help;
  bool in_commands = false;
  // "  -c,--count N  …", "  --svg FILE …", "  list     …"
  static const std::regex option("^  (-[A-Za-z0-9],)?(--[a-z0-9-]+)[^a-z0-9-].*");
  static const std::regex word("^  ([a-z-]+) .*");
  for (const auto& line : lines_of(done.output)) {
    if (!line.starts_with(" ")) in_commands = line == "Subcommands:";
    std::smatch match;
    if (std::regex_match(line, match, option)) {
      help.options.push_back(match[2]);
      if (match[1].matched) help.options.push_back(match[1].str().substr(0, 2));
    } else if (in_commands && std::regex_match(line, match, word)) {
      help.commands.push_back(match[1]);
    }
  }
  EXPECT_FALSE(help.options.empty());
  return help;
}

/// Shells with the completions of one program loaded. A line to complete is a list of words, of
/// which the last is what the cursor stands behind.
class Completions {
 public:
  explicit Completions(std::string name) : name_(std::move(name)) {
    for (const std::string shell : {"bash", "zsh", "fish"})
      write_file(directory_ / shell, completion(name_, shell));
  }

  /// As bash calls the function, with its own words.
  [[nodiscard]] Words bash(const Words& words) const {
    // Functions that fail in a way that only a terminal would show fail here.
    static constexpr const char* driver =
        "set -u; source \"$1\"; function=$(complete -p \"$2\"); function=${function#*-F }; "
        "COMP_WORDS=(\"${@:2}\"); COMP_CWORD=$(($# - 2)); ${function%% *}; "
        "if [ ${#COMPREPLY[@]} -gt 0 ]; then printf '%s\\n' \"${COMPREPLY[@]}\"; fi";
    Words args{"-c", driver, "bash", directory_ / "bash", name_};
    args.insert(args.end(), words.begin(), words.end());
    return output_of({.program = "/usr/bin/bash", .args = args});
  }

  [[nodiscard]] Words fish(const std::string& line) const {
    Words offered = output_of({.program = fish_shell,
                               .args = {"--no-config", "-c",
                                        "source " + (directory_ / "fish").string() +
                                            "; complete -C '" + name_ + line + "'"},
                               .environment = {{"HOME", directory_.path().string()}}});
    for (auto& word : offered)
      word.erase(std::min(word.find('\t'), word.size()));
    // fish 4 also prints words that have what is typed somewhere inside: a terminal offers those
    // only where no word begins with it.
    const std::string typed = line.substr(line.find_last_of(" =") + 1);
    std::erase_if(offered, [&](const std::string& word) { return !word.starts_with(typed); });
    return offered;
  }

  /// A terminal with zsh in it, and a tab.
  [[nodiscard]] Words zsh(const std::string& line) const {
    static constexpr const char* driver = R"(
      zmodload zsh/zpty
      zpty inner zsh -f -i
      zpty -w inner 'PS1=; autoload -Uz compinit; compinit -u -D; source '$1'
        compadd() {
          if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then builtin compadd "$@"; return; fi
          local -a offered
          builtin compadd -A offered "$@"
          print -l -- ${offered/#/OFFERED:}
          builtin compadd "$@"
        }
        finish() { print "END""ED"; exit }
        comppostfuncs=(finish)
        bindkey "^I" complete-word
        print "REA""DY"'
      zpty -r -m inner out '*READY*'
      zpty -w -n inner "$2"$'\t'
      zpty -r -m inner out '*ENDED*'
      for line in ${(f)out}; do
        [[ $line == *OFFERED:* ]] && print -r -- ${${line##*OFFERED:}%$'\r'}
      done
      exit 0)";
    return output_of({.program = zsh_shell,
                      .args = {"-f", "-c", driver, "zsh", directory_ / "zsh", name_ + line},
                      .environment = {{"HOME", directory_.path().string()}, {"TERM", "dumb"}}});
  }

  static constexpr const char* fish_shell = "/usr/bin/fish";
  static constexpr const char* zsh_shell = "/usr/bin/zsh";

 private:
  static Words output_of(const ChildOptions& options) {
    const auto done = run(options);
    EXPECT_EQ(done.ended.code, 0) << done.error_output;
    EXPECT_EQ(done.error_output, "");
    return lines_of(done.output);
  }

  std::string name_;
  TempDir directory_;
};

/// Every option and command that --help shows, in every command.
void expect_all_is_offered(const Completions& shell, const std::string& name,
                           const Words& command = {}) {
  SCOPED_TRACE(name + " " + testing::PrintToString(command));
  const Help help = help_of(name, command);
  Words line = command;
  line.emplace_back("-");
  EXPECT_THAT(shell.bash(line), IsSupersetOf(help.options));
  line.back() = "";
  if (!help.commands.empty()) {
    EXPECT_THAT(shell.bash(line), IsSupersetOf(help.commands));
  }
  for (const auto& below : help.commands) {
    line.back() = below;
    expect_all_is_offered(shell, name, line);
  }
}

class CompletionsOf : public testing::TestWithParam<const char*> {};

TEST_P(CompletionsOf, OfferEveryOptionAndCommandThatHelpShows) {
  const Completions shell(GetParam());
  expect_all_is_offered(shell, GetParam());
  EXPECT_THAT(shell.bash({"completion", ""}), UnorderedElementsAre("bash", "zsh", "fish"));
}

TEST_P(CompletionsOf, RefuseAShellThatIsNone) {
  const auto done = run({.program = program(GetParam()), .args = {"completion", "csh"}});
  EXPECT_EQ(done.ended.code, 64);
  EXPECT_EQ(done.output, "");
  EXPECT_TRUE(done.error_output.contains("fish")) << done.error_output;
}

TEST_P(CompletionsOf, AreRightForTheirShells) {
  const Completions shell(GetParam());
  if (std::filesystem::exists(Completions::zsh_shell) && has_terminals()) {
    EXPECT_THAT(shell.zsh(" completion "), UnorderedElementsAre("bash", "zsh", "fish"));
    EXPECT_THAT(shell.zsh(" --versio"), UnorderedElementsAre("--version"));
  }
  if (std::filesystem::exists(Completions::fish_shell)) {
    EXPECT_THAT(shell.fish(" completion "), UnorderedElementsAre("bash", "zsh", "fish"));
    EXPECT_THAT(shell.fish(" --versio"), UnorderedElementsAre("--version"));
  }
}

std::string with_underscores(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Programs, CompletionsOf,
                         testing::Values("lp-probe", "lp-gateway", "lp-db-maint", "lp-issuer"),
                         with_underscores);
#ifdef LP_WITH_REPLAY_BENCH
INSTANTIATE_TEST_SUITE_P(Benchmark, CompletionsOf, testing::Values("lp-replay-bench"),
                         with_underscores);
#endif

/// Words as bash splits them, and what is offered for the last.
struct Line {
  Words words;
  Words offered;
};

TEST(BashCompletion, OffersWhatAValueMayBe) {
  const Completions probe("lp-probe");
  for (const auto& [words, offered] : std::vector<Line>{
           {{"--mode", ""}, {"dvpn", "mixnet"}},
           {{"--mode", "m"}, {"mixnet"}},
           {{"--mode", "=", "m"}, {"mixnet"}},
           {{"--mode", "="}, {"dvpn", "mixnet"}},
           {{"--fail-on", "none", "-f", "js"}, {"json"}},
           {{"wallet", "list", "--color", ""}, {"auto", "always", "never"}},
           {{"--count", ""}, {}},
           // A value of the name of a command is none, and a flag has no value.
           {{"--wallet", "wallet", "lo"}, {"load"}},
           {{"--trace", "lo"}, {"load"}},
           {{"--trace", "="}, {}},
           {{"gateway.example", ":", "41264", "--use-mock"}, {"--use-mock-ecash"}},
       }) {
    EXPECT_EQ(probe.bash(words), offered) << testing::PrintToString(words);
  }
  const Completions gateway("lp-gateway");
  EXPECT_EQ(gateway.bash({"run", "--wireguard-backend", "u"}), Words{"uapi"});
  EXPECT_EQ(gateway.bash({"peers", "show", "--format", "j"}), Words{"json"});
  EXPECT_EQ(Completions("lp-db-maint").bash({"--format", "c"}), Words{"csv"});
  EXPECT_EQ(Completions("lp-issuer").bash({"run", "--log-level", "d"}), Words{"debug"});
}

TEST(BashCompletion, OffersFilesAndDirectoriesWhereAValueIsOne) {
  const TempDir directory;
  write_file(directory / "wg file.conf", "");
  std::filesystem::create_directory(directory / "wg.d");
  const std::string start = directory / "wg";
  const std::string file = directory / "wg file.conf";
  const std::string below = directory / "wg.d";
  const Completions probe("lp-probe");
  for (const Words& words : std::vector<Words>{
           {"--wg-config", start}, {"--wg-preshared-key", start}, {"decode", start}}) {
    EXPECT_THAT(probe.bash(words), UnorderedElementsAre(file, below));
  }
  EXPECT_THAT(Completions("lp-gateway").bash({"run", "--data-dir", start}),
              UnorderedElementsAre(below));
  EXPECT_THAT(Completions("lp-db-maint").bash({"stats", "--storage", "sqlite", ":", start}),
              UnorderedElementsAre(file, below));
}

TEST(ZshCompletion, OffersWhatAValueMayBe) {
  if (!std::filesystem::exists(Completions::zsh_shell)) {
    GTEST_SKIP() << "zsh is not installed: scripts/install-deps test";
  }
  if (!has_terminals()) GTEST_SKIP() << no_terminals;
  const Completions probe("lp-probe");
  EXPECT_THAT(probe.zsh(" --mode="), UnorderedElementsAre("dvpn", "mixnet"));
  EXPECT_THAT(probe.zsh(" gateway.example -f js"), UnorderedElementsAre("json"));
  EXPECT_THAT(probe.zsh(" wallet list --ga"), UnorderedElementsAre("--gateway", "--gateway-ip"));
  EXPECT_THAT(probe.zsh(" decode /etc/passw"), Contains("passwd"));
}

TEST(FishCompletion, OffersWhatAValueMayBe) {
  if (!std::filesystem::exists(Completions::fish_shell)) {
    GTEST_SKIP() << "fish is not installed: scripts/install-deps test";
  }
  const Completions probe("lp-probe");
  EXPECT_THAT(probe.fish(" --mode "), UnorderedElementsAre("dvpn", "mixnet"));
  EXPECT_THAT(probe.fish(" gateway.example -f js"), UnorderedElementsAre("json"));
  EXPECT_THAT(probe.fish(" wallet list --ga"), UnorderedElementsAre("--gateway", "--gateway-ip"));
  EXPECT_THAT(probe.fish(" decode /etc/passw"), Contains("/etc/passwd"));
}

}  // namespace
}  // namespace lp::test
