#include "gateway/config/layers.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "gateway/config/render.h"
#include "tests/support/process.h"

namespace lp::gateway::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class File : public testing::Test {
 protected:
  std::expected<Layer, Refusal> read(std::string_view text) {
    test::write_file(path_, text);
    return read_file(path_, true);
  }
  std::string refusal(std::string_view text) {
    const auto layer = read(text);
    if (layer) return "taken";
    EXPECT_EQ(layer.error().code, ExitCode::configuration);
    return layer.error().sentence;
  }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_ / "lp-gateway.toml";
};

TEST_F(File, HasAnUnknownKeyAndNobodySaysWhere) {
  EXPECT_EQ(refusal("threads = 1\n\nmax_conections = 5\n"),
            path_.string() + ":3: unknown key \"max_conections\"; did you mean max_connections?");
  EXPECT_EQ(refusal("entirely_else = 5\n"), path_.string() + ":1: unknown key \"entirely_else\"");
  EXPECT_EQ(refusal(std::string(10'000, 'x') + " = 1"),
            path_.string() + ":1: unknown key \"" + std::string(10'000, 'x') + "\"");
}

TEST_F(File, HasAValueOfAnotherTypeAndNobodySaysWhere) {
  const std::string at = path_.string() + ":1: ";
  EXPECT_EQ(refusal("threads = \"4\""), at + "threads must be a whole number without quotes");
  EXPECT_EQ(refusal("threads = 1.5"), at + "threads must be a whole number without quotes");
  EXPECT_EQ(refusal("log_level = true"), at + "log_level must be a string in quotes");
  EXPECT_EQ(refusal("use_mock_ecash = 1"),
            at + "use_mock_ecash must be true or false without quotes");
  EXPECT_EQ(refusal("hello_deadline_secs = \"5\""),
            at + "hello_deadline_secs must be a number of seconds without quotes");
  EXPECT_EQ(refusal("bind_address = 5"),
            at + "bind_address must be an array of strings like [\"a\", \"b\"]");
}

TEST_F(File, IsADirectoryADeviceOrAFifoAndReadingItNeverEnds) {
  for (const auto& path : {dir_.path(), std::filesystem::path("/dev/zero")}) {
    const auto layer = read_file(path, true);
    ASSERT_FALSE(layer) << path;
    EXPECT_THAT(layer.error().sentence, HasSubstr("no regular file"));
  }
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(read_file(dir_ / "fifo", true));
}

TEST_F(File, IsHugeAndFillsTheMemory) {
  EXPECT_THAT(refusal(std::string(2 << 20, '#')), HasSubstr("larger than 1 MiB"));
}

TEST_F(File, IsMissingAndStopsAGatewayThatNeedsNone) {
  const auto layer = read_file(dir_ / "none", false);
  ASSERT_TRUE(layer);
  EXPECT_TRUE(layer->empty());
  const auto required = read_file(dir_ / "none", true);
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().code, ExitCode::configuration);
  EXPECT_THAT(required.error().sentence, HasSubstr("No such file"));
}

TEST_F(File, HoldsASecretThatOthersCanRead) {
  const std::string line =
      "wireguard_preshared_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";
  for (const unsigned mode : {0640U, 0604U}) {
    test::write_file(path_, line, mode);
    const auto layer = read_file(path_, true);
    ASSERT_FALSE(layer);
    EXPECT_EQ(layer.error().sentence,
              path_.string() +
                  ":1: wireguard_preshared_key is a secret, and others can read the file: chmod "
                  "600 it");
  }
  test::write_file(path_, line, 0600);
  EXPECT_TRUE(read_file(path_, true));
  EXPECT_TRUE(read("wireguard_preshared_key = \"identity\"\n"));
}

TEST_F(File, HidesABadValueUnderAFlag) {
  Layers layers;
  layers.from_file = *read("threads = 99999\n");
  layers.from_flags["threads"] = {{"1"}, "--threads"};
  const auto resolved = resolve(layers);
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().sentence,
            path_.string() + ":1: threads must be a whole number from 0 to 1024, not 99999");
}

TEST(Environment, SplitsListsOrTextsWrongly) {
  const auto* list = find_setting("bind_address");
  const auto* text = find_setting("data_dir");
  EXPECT_THAT(split_value(*list, "a,b"), ElementsAre("a", "b"));
  EXPECT_THAT(split_value(*list, "a,"), ElementsAre("a", ""));
  EXPECT_THAT(split_value(*list, ""), ElementsAre());
  EXPECT_THAT(split_value(*text, "a,b"), ElementsAre("a,b"));
}

TEST(Environment, WarnsOfWhatAContainerPlatformSets) {
  const char* const variables[] = {"LP_GATEWAY_SERVICE_HOST=10.0.0.1",
                                   "LP_GATEWAY_PORT=tcp://10.0.0.1:41264",
                                   "LP_GATEWAY_MAX_CONECTIONS=5",
                                   "LP_GATEWAY_THREADS=5",
                                   "HOME=/root",
                                   nullptr};
  EXPECT_THAT(environment_slips(variables),
              ElementsAre("LP_GATEWAY_MAX_CONECTIONS in the environment is no setting; did you "
                          "mean LP_GATEWAY_MAX_CONNECTIONS?"));
}

std::string combination(const Settings& settings) {
  const auto checked = check_combination(settings);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, ExitCode::configuration);
  return checked.error().sentence;
}

TEST(Combination, StartsWithoutAnythingThatVerifiesTickets) {
  EXPECT_THAT(combination({}), StartsWith("no chain is configured"));
  Settings settings;
  settings.chain_url = "https://chain.example";
  EXPECT_THAT(combination(settings), HasSubstr("ecash_contract is not"));
  settings.ecash_contract = "n1abc";
  EXPECT_EQ(combination(settings), "");
}

TEST(Combination, GivesBandwidthAwayOnAPublicAddress) {
  Settings settings;
  settings.use_mock_ecash = true;
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1"}) {
    settings.bind_address = {"::1", "127.0.0.1", address};
    if (std::string_view(address) == "0.0.0.0") settings.bind_address = {"::1", address};
    if (std::string_view(address) == "::") settings.bind_address = {"127.0.0.1", address};
    EXPECT_THAT(combination(settings), HasSubstr("--allow-mock-on-public-address")) << address;
  }
  settings.allow_mock_on_public_address = true;
  EXPECT_EQ(combination(settings), "");
  settings.allow_mock_on_public_address = false;
  settings.bind_address = {"127.0.0.1", "::1", "127.8.8.8"};
  EXPECT_EQ(combination(settings), "");
}

TEST(Combination, BindsOneAddressTwice) {
  Settings settings;
  settings.use_mock_ecash = settings.allow_mock_on_public_address = true;
  using List = std::vector<std::string>;
  for (const List& list :
       {List{"127.0.0.1", "0.0.0.0"}, List{"::", "::1"}, List{"::", "fe80::1"}}) {
    settings.bind_address = list;
    EXPECT_THAT(combination(settings), HasSubstr("a wildcard address that takes it in"));
  }
  for (const List& list :
       {List{"0.0.0.0", "::"}, List{"0.0.0.0", "::1"}, List{"127.0.0.1", "::"}}) {
    settings.bind_address = list;
    EXPECT_EQ(combination(settings), "");
  }
}

TEST(Combination, LeavesInstancesWithoutANameOrAWayToTheirClients) {
  Settings settings;
  settings.use_mock_ecash = settings.allow_mock_on_public_address = true;
  settings.storage = "sqlite:x";
  EXPECT_EQ(combination(settings), "");
  settings.instance = "a";
  EXPECT_THAT(combination(settings), StartsWith("instance is set, and storage is SQLite"));
  for (const char* url : {"postgresql:///lp", "postgres:///lp"}) {
    settings.storage = url;
    EXPECT_THAT(combination(settings), HasSubstr("set wireguard_announced_address"));
  }
  settings.wireguard_announced_address = "192.0.2.1";
  EXPECT_EQ(combination(settings), "");
  settings.instance = "";
  EXPECT_THAT(combination(settings), HasSubstr("set instance"));
}

TEST(Instance, IsANameThatALogOrADatabaseMistakes) {
  Settings settings;
  const auto* setting = find_setting("instance");
  for (const std::string& name :
       {std::string("a"), std::string("gw-1.example_B"), std::string(63, 'x')}) {
    EXPECT_TRUE(setting->assign(settings, {name})) << name;
    EXPECT_EQ(settings.instance, name);
  }
  for (const std::string& name :
       {std::string("a b"), std::string("a\n"), std::string("a'b"), std::string("\u00e9"),
        std::string(64, 'x'), std::string("a\0", 2)}) {
    EXPECT_FALSE(setting->assign(settings, {name})) << name;
  }
}

TEST(Rendering, PrintsAPresharedKey) {
  const std::string key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  Layers layers;
  layers.from_environment["wireguard_preshared_key"] = {{key},
                                                        "LP_GATEWAY_WIREGUARD_PRESHARED_KEY"};
  const auto resolved = resolve(layers);
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.wireguard_preshared_key, key);
  const std::string text = effective_file(*resolved);
  EXPECT_THAT(text, Not(HasSubstr(key)));
  EXPECT_THAT(text, HasSubstr("wireguard_preshared_key = \"<redacted>\""));

  layers.from_environment["wireguard_preshared_key"].texts = {key + "="};
  const auto refused = resolve(layers);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().sentence, Not(HasSubstr(key)));
}

TEST_F(File, HoldsAPasswordThatOthersCanRead) {
  const std::string line = "storage = \"postgresql://u:hidden@h/d\"\n";
  test::write_file(path_, line, 0640);
  const auto layer = read_file(path_, true);
  ASSERT_FALSE(layer);
  EXPECT_EQ(layer.error().sentence,
            path_.string() + ":1: storage is a secret, and others can read the file: chmod 600 it");
  test::write_file(path_, line, 0600);
  EXPECT_TRUE(read_file(path_, true));
  EXPECT_TRUE(read("storage = \"postgresql://u@h/d\"\n"));
}

TEST(Rendering, PrintsAPasswordOrNotTheDatabase) {
  Layers layers;
  layers.from_flags["storage"] = {{"postgresql://u:hidden@h/d"}, "--storage"};
  auto resolved = resolve(layers);
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->settings.storage, "postgresql://u:hidden@h/d");
  EXPECT_THAT(effective_file(*resolved),
              HasSubstr("storage = \"postgresql://u:<redacted>@h/d\"  # --storage"));
  // A typing mistake in front of it.
  layers.from_flags["storage"].texts = {"postgress://u:hidden@h/d"};
  resolved = resolve(layers);
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().sentence,
            "--storage must be sqlite:PATH or postgresql://USER@HOST/NAME");
  // In the place of another value: "--http-address= --storage=…".
  layers.from_flags.clear();
  layers.from_flags["http_address"] = {{"--storage=postgresql://u:hidden@h/d"}, "--http-address"};
  resolved = resolve(layers);
  ASSERT_FALSE(resolved);
  EXPECT_THAT(resolved.error().sentence,
              AllOf(HasSubstr("postgresql://u:<redacted>@h/d"), Not(HasSubstr("hidden"))));
}

TEST(Rendering, WritesAFileThatReadsBackAsSomethingElse) {
  Layers layers;
  layers.from_flags["data_dir"] = {{"/with \"quotes\" and \\ and \x07"}, "--data-dir"};
  layers.from_flags["bind_address"] = {{"127.0.0.1", "::1"}, "--bind-address"};
  layers.from_flags["hello_deadline_secs"] = {{"0.25"}, "--hello-deadline-secs"};
  layers.from_flags["use_mock_ecash"] = {{"true"}, "--use-mock-ecash"};
  const auto resolved = resolve(layers);
  ASSERT_TRUE(resolved);

  const test::TempDir dir;
  for (const std::string& text :
       {effective_file(*resolved), commented_file(layers.from_flags, resolved->settings)}) {
    test::write_file(dir / "x.toml", text);
    Layers again;
    auto layer = read_file(dir / "x.toml", true);
    ASSERT_TRUE(layer) << layer.error().sentence;
    again.from_file = *layer;
    const auto read_back = resolve(again);
    ASSERT_TRUE(read_back) << read_back.error().sentence;
    for (const auto& setting : settings_table()) {
      EXPECT_EQ(setting.print(read_back->settings), setting.print(resolved->settings))
          << setting.key;
    }
  }
}

TEST(Rendering, LeavesASettingOutOfTheFileThatInitWrites) {
  const std::string text = commented_file({}, {});
  for (const auto& setting : settings_table()) {
    EXPECT_THAT(text, HasSubstr("\n#" + std::string(setting.key) + " = "));
  }
}

}  // namespace
}  // namespace lp::gateway::config
