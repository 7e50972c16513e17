// lp-gateway.toml(5), --help and the table say the same.
#include <gmock/gmock.h>

#include <map>
#include <set>
#include <sstream>

#include "gateway/config/settings_table.h"
#include "tests/support/process.h"

namespace lp::gateway::config {
namespace {

using testing::HasSubstr;

struct ManualEntry {
  std::string default_value;
  bool reloadable = false;
};

/// The settings of the manual: ".It Ic KEY" and, in the same entry, ".Dv Default VALUE".
std::map<std::string, ManualEntry> manual_entries() {
  std::map<std::string, ManualEntry> entries;
  std::istringstream page(
      test::read_file(std::filesystem::path(LP_SOURCE_DIR) / "man" / "lp-gateway.toml.5"));
  ManualEntry* current = nullptr;
  for (std::string line; std::getline(page, line);) {
    constexpr std::string_view item = ".It Ic ";
    constexpr std::string_view default_is = "Default: ";
    if (line.starts_with(item)) current = &entries[line.substr(item.size())];
    if (line.starts_with(".Sh")) current = nullptr;
    if (current == nullptr) continue;
    if (line.starts_with(default_is)) current->default_value = line.substr(default_is.size());
    if (line == "Reloaded on SIGHUP.") current->reloadable = true;
  }
  return entries;
}

TEST(Manual, LacksASettingOrHasOneThatDoesNotExist) {
  std::set<std::string> in_table;
  std::set<std::string> in_manual;
  for (const auto& setting : settings_table())
    in_table.emplace(setting.key);
  for (const auto& [key, entry] : manual_entries())
    in_manual.insert(key);
  EXPECT_EQ(in_manual, in_table);
}

TEST(Manual, NamesAnotherDefaultOrForgetsWhatSighupReloads) {
  const Settings defaults;
  const auto entries = manual_entries();
  for (const auto& setting : settings_table()) {
    const auto entry = entries.find(std::string(setting.key));
    ASSERT_NE(entry, entries.end()) << setting.key;
    EXPECT_EQ(entry->second.default_value, shown_value(setting, defaults) + ".") << setting.key;
    EXPECT_EQ(entry->second.reloadable, setting.reloadable) << setting.key;
  }
}

TEST(Help, LacksASettingOrItsDefault) {
  const Settings defaults;
  for (const char* command : {"run", "check-config", "init"}) {
    const auto help =
        test::run({.program = test::program("lp-gateway"), .args = {command, "--help"}});
    EXPECT_EQ(help.ended.code, 0);
    EXPECT_EQ(help.error_output, "");
    std::set<std::string> flags;
    std::istringstream words(help.output);
    for (std::string word; words >> word;) {
      if (word.starts_with("--")) flags.insert(word.substr(0, word.find_first_of(",.")));
    }
    for (const auto& setting : settings_table()) {
      EXPECT_TRUE(flags.contains(setting.flag())) << command << ' ' << setting.flag();
      EXPECT_THAT(help.output, HasSubstr(std::string(setting.help) +
                                         " Default: " + shown_value(setting, defaults) + "."));
    }
  }
}

TEST(Table, HasTwoSettingsOfOneNameOrNoWordsForOne) {
  std::set<std::string_view> keys;
  for (const auto& setting : settings_table()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_TRUE(setting.help.ends_with('.')) << setting.key;
    EXPECT_FALSE(setting.section.empty()) << setting.key;
    EXPECT_EQ(setting.metavar.empty(), setting.shape == Shape::boolean) << setting.key;
    Settings settings;
    EXPECT_TRUE(setting.assign(settings, setting.print(Settings()))) << setting.key;
  }
}

TEST(Table, ReloadsWhatTheServerDoesNotTakeOver) {
  // Each reloadable setting must reach ReloadableSettings; comparing all of it shows whether it
  // did.
  std::set<std::string> names;
  for (const auto& setting : settings_table()) {
    if (setting.reloadable) names.emplace(setting.key);
  }
  EXPECT_EQ(names,
            (std::set<std::string>{
                "max_connections", "max_connections_per_address", "timestamp_tolerance_secs",
                "hello_deadline_secs", "handshake_deadline_secs", "request_deadline_secs",
                "processing_deadline_secs", "write_deadline_secs", "metrics_allow", "log_level"}));
}

}  // namespace
}  // namespace lp::gateway::config
