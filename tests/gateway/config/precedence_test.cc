// Flag over environment over file over default, for each setting, asked of the real program: what
// `check-config` prints is what `run` would use.
#include <gmock/gmock.h>

#include <map>
#include <string>

#include "gateway/config/settings_table.h"
#include "tests/support/process.h"

namespace lp::gateway::config {
namespace {

using test::program;
using test::TempDir;

/// Three values that are not the default and not each other; of a boolean there are two.
struct Samples {
  std::string file;
  std::string environment;
  std::string flag;
};

// As they are given in the environment and as a flag.
const std::map<std::string, Samples, std::less<>> samples{
    {"data_dir", {"/tmp/a", "/tmp/b", "/tmp/c"}},
    {"bind_address", {"127.0.0.2", "::1,127.0.0.3", "10.0.0.1"}},
    {"control_port", {"1", "2", "65535"}},
    {"data_port", {"1", "2", "0"}},
    {"max_connections", {"1", "2", "3"}},
    {"max_connections_per_address", {"1", "0", "3"}},
    {"timestamp_tolerance_secs", {"1", "2", "86400"}},
    {"client_hello_cache_entries", {"1", "2", "100000000"}},
    {"threads", {"1", "2", "1024"}},
    {"hello_deadline_secs", {"0.001", "2", "3600"}},
    {"handshake_deadline_secs", {"0.5", "2.25", "3"}},
    {"request_deadline_secs", {"1", "2", "3"}},
    {"processing_deadline_secs", {"1", "2", "3"}},
    {"write_deadline_secs", {"1", "2", "3"}},
    {"http_address", {"127.0.0.1", "::1", "::"}},
    {"http_port", {"0", "1", "2"}},
    {"metrics_allow", {"10.0.0.0/8", "192.0.2.1,fd00::/8", "0.0.0.0/0"}},
    {"storage", {"sqlite:a", "postgresql://b@c/d", "sqlite:with space"}},
    {"instance", {"a", "b.example", "C_3-4"}},
    {"record_sessions", {"true", "false", "true"}},
    {"use_mock_ecash", {"true", "false", "true"}},
    {"allow_mock_on_public_address", {"true", "false", "true"}},
    {"chain_url", {"https://a.example", "https://b.example/x", "http://c.example"}},
    {"ecash_contract", {"n1a", "n1b", "n1c"}},
    {"ecash_refresh_secs", {"1", "2", "3"}},
    {"allow_insecure_chain", {"true", "false", "true"}},
    {"chain_ca_file", {"/a", "b", "c/d"}},
    {"wireguard_backend", {"netlink", "uapi", "memory"}},
    {"wireguard_interface", {"wg1", "wg2", "wg3"}},
    {"wireguard_own_interface", {"true", "false", "true"}},
    {"wireguard_announced_address", {"192.0.2.1", "2001:db8::1", "192.0.2.3"}},
    {"wireguard_announced_port", {"1", "2", "3"}},
    {"wireguard_private_key_file", {"/a", "b", "c/d"}},
    {"wireguard_preshared_key", {"identity", "none", "identity"}},
    {"ipv4_pool", {"10.2.0.0/16", "10.3.0.0/24", "10.0.0.0/8"}},
    {"ipv6_pool", {"fd01::/112", "fd02::/64", "fd03::/126"}},
    {"log_level", {"debug", "error", "off"}},
    {"log_format", {"json", "journal", "text"}},
};

std::string toml_line(const Setting& setting, const std::string& value) {
  std::string text = value;
  if (setting.shape == Shape::text) text = '"' + value + '"';
  if (setting.shape == Shape::list) {
    text = "[\"";
    for (const char c : value)
      text += c == ',' ? std::string("\", \"") : std::string(1, c);
    text += "\"]";
  }
  return std::string(setting.key) + " = " + text;
}

class EachSetting : public testing::TestWithParam<std::string> {
 protected:
  const Setting& setting() const { return *find_setting(GetParam()); }
  const Samples& values() const { return samples.at(GetParam()); }

  /// The line of check-config that is about this setting.
  std::string effective(const std::string& file_line, std::optional<std::string> environment,
                        std::vector<std::string> flags) {
    test::write_file(dir_ / "settings.toml", file_line + "\n");
    std::vector<std::string> args{"check-config", "--config", (dir_ / "settings.toml").string()};
    args.insert(args.end(), flags.begin(), flags.end());
    const auto finished = test::run({.program = program("lp-gateway"),
                                     .args = args,
                                     .environment = {{setting().environment(), environment}}});
    std::istringstream lines(finished.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(GetParam() + " = ")) return line.substr(0, line.find("  #"));
    }
    return "no line; " + finished.error_output;
  }

  std::vector<std::string> flag(const std::string& value) const {
    return {setting().flag() + "=" + value};
  }

  TempDir dir_;
};

TEST_P(EachSetting, NobodySetsItAndTheDefaultIsLost) {
  const Settings defaults;
  EXPECT_EQ(effective("", std::nullopt, {}),
            GetParam() + " = " + toml_value(setting(), setting().print(defaults)));
}

TEST_P(EachSetting, TheFileIsNotHeard) {
  EXPECT_EQ(effective(toml_line(setting(), values().file), std::nullopt, {}),
            toml_line(setting(), values().file));
}

TEST_P(EachSetting, TheFileGoesOverTheEnvironment) {
  EXPECT_EQ(effective(toml_line(setting(), values().file), values().environment, {}),
            toml_line(setting(), values().environment));
}

TEST_P(EachSetting, TheEnvironmentGoesOverTheFlag) {
  EXPECT_EQ(
      effective(toml_line(setting(), values().file), values().environment, flag(values().flag)),
      toml_line(setting(), values().flag));
}

TEST_P(EachSetting, TheFileGoesOverTheFlag) {
  // For a boolean the flag must say the opposite of the file.
  const std::string value =
      setting().shape == Shape::boolean ? values().environment : values().flag;
  EXPECT_EQ(effective(toml_line(setting(), values().file), std::nullopt, flag(value)),
            toml_line(setting(), value));
}

TEST_P(EachSetting, ABadValueIsTakenFromTheEnvironment) {
  // A path may be anything but empty; no other setting takes a control character for its value.
  if (setting().key == "wireguard_private_key_file" || setting().key == "chain_ca_file") {
    return;  // empty means the default
  }
  const std::string bad = setting().key == "data_dir" ? "" : "\x01";
  test::write_file(dir_ / "settings.toml", "");
  const auto finished =
      test::run({.program = program("lp-gateway"),
                 .args = {"check-config", "--config", (dir_ / "settings.toml").string()},
                 .environment = {{setting().environment(), bad}}});
  EXPECT_EQ(finished.ended.code, 78);
  EXPECT_EQ(finished.output, "");
  EXPECT_THAT(finished.error_output,
              testing::StartsWith("lp-gateway: " + setting().environment() + " must be"));
}

std::vector<std::string> all_keys() {
  std::vector<std::string> keys;
  for (const auto& setting : settings_table())
    keys.emplace_back(setting.key);
  return keys;
}

INSTANTIATE_TEST_SUITE_P(Table, EachSetting, testing::ValuesIn(all_keys()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace lp::gateway::config
