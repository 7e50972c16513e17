#include "lib/cli/commands.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace lp::cli {
namespace {

/// program [add | keys [list | rotate]]
class Program {
 public:
  Program() {
    CLI::App* const keys = app.add_subcommand("keys");
    keys->add_subcommand("list");
    keys->add_subcommand("rotate");
    app.add_subcommand("add")->add_flag("--dry-run");
  }

  /// What is said of the arguments.
  [[nodiscard]] std::string unknown(std::vector<std::string> words) {
    std::ranges::reverse(words);  // as CLI11 wants them
    try {
      app.parse(std::move(words));
    } catch (const CLI::ParseError&) {
      return unknown_argument(app, "something else");
    }
    return "nothing";
  }

  CLI::App app{"", "program"};
};

TEST(Command, ThatIsNoneIsNamedWithThoseThereAre) {
  EXPECT_EQ(Program().unknown({"dance"}), "there is no command \"dance\", but keys, add");
  EXPECT_EQ(Program().unknown({"keys", "turn"}), "there is no command \"turn\", but list, rotate");
  EXPECT_EQ(Program().unknown({"keys", "list", "all"}), "unexpected argument \"all\"");
  EXPECT_EQ(Program().unknown({"add", "--dry-run"}), "nothing");
}

TEST(Flag, ThatIsUnknownIsNamedWithoutItsValue) {
  EXPECT_EQ(Program().unknown({"--secret=hush"}), "unknown flag --secret");
  EXPECT_EQ(Program().unknown({"add", "-x"}), "unknown flag -x");
  // What CLI11 alone can say is left to it.
  Program program;
  EXPECT_EQ(unknown_argument(program.app, "as it is"), "as it is");
}

TEST(Usage, NamesTheHelpOfTheCommandThatWasGiven) {
  Program program;
  EXPECT_EQ(program.unknown({"keys", "turn"}), "there is no command \"turn\", but list, rotate");
  EXPECT_EQ(last_command(program.app).get_name(), "keys");
  testing::internal::CaptureStderr();
  EXPECT_EQ(wrong_usage(program.app, "no \x1b"), 64);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "program: no \\x1b\nTry program keys --help\n");
}

}  // namespace
}  // namespace lp::cli
