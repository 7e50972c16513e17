// Where a setting comes from: a flag wins over a variable, a variable over the file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "lib/crypto/random.h"
#include "probes/options/load.h"
#include "probes/options/table.h"
#include "probes/options/values.h"
#include "tests/support/process.h"

namespace lp::probe::options {
namespace {

using namespace std::chrono_literals;

const std::string id1 = "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5";

std::string another_identity() {
  return crypto::IdentityKeyPair::generate().identity.to_base58();
}

Environment environment(std::map<std::string, std::string> variables = {}) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

/// Values for each of file, variable and flag, all different where the type allows, and how the
/// setting reads afterwards.
struct Sample {
  std::string file, variable, flag;
  std::function<std::string(const Settings&)> read;
  std::string second = "total=1h";  ///< of a list in the file
};

std::string show(bool value) {
  return value ? "true" : "false";
}
std::string show(std::chrono::nanoseconds time) {
  return fmt::format("{}ms", std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}
std::string show(const std::optional<HostPort>& address) {
  return address ? address->host : "none";
}
std::string show(const std::optional<crypto::Identity>& identity) {
  return identity ? identity->to_base58() : "none";
}

template <auto Member>
Sample flag() {
  return {"true", "false", "true", [](const Settings& s) { return show(s.*Member); }};
}
template <auto Member>
Sample time_sample() {
  return {"1001ms", "1002ms", "1003ms", [](const Settings& s) { return show(s.*Member); }};
}

template <auto Member>
Sample url_sample() {
  return {"https://a:1/x", "https://b:2/x", "https://c:3/x",
          [](const Settings& s) { return (s.*Member)->to_string(); }};
}

Sample threshold(Thresholds Settings::* member) {
  return {"connect=1ms", "connect=2ms", "connect=3ms", [member](const Settings& s) {
            return "connect=" + show((s.*member)[static_cast<std::size_t>(Stage::connect)].value());
          }};
}

template <typename E>
std::function<std::string(const Settings&)> choice(E Settings::* member,
                                                   std::vector<std::string> names) {
  return [=](const Settings& s) { return names.at(static_cast<std::size_t>(s.*member)); };
}

/// An address or a list of one version of IP.
std::string show(const std::optional<messages::IpAddress>& address) {
  return address ? messages::to_string(*address) : "none";
}
template <std::size_t Version>
Sample inner(std::string a, std::string b, std::string c,
             std::function<std::string(const NetstackSettings&)> read, std::string second = "") {
  return {std::move(a), std::move(b), std::move(c),
          [read = std::move(read)](const Settings& s) { return read(s.netstack[Version]); },
          std::move(second)};
}
std::string shown_ips(const NetstackSettings& netstack) {
  return netstack.ping_ips.empty() ? "none" : messages::to_string(netstack.ping_ips[0]);
}
std::string shown_hosts(const NetstackSettings& netstack) {
  return netstack.ping_hosts.empty() ? "none" : netstack.ping_hosts[0];
}
template <auto Member>
Sample seconds_sample() {
  return {
      "1", "2", "4", [](const Settings& s) {
        return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(s.*Member).count());
      }};
}

std::map<std::string, Sample> samples() {
  using S = Settings;
  const std::string id2 = another_identity(), id3 = another_identity();
  return {
      {"identity", {id1, id2, id3, [](const S& s) { return show(s.identity); }}},
      {"parallel", {"3", "4", "5", [](const S& s) { return std::to_string(s.parallel); }}},
      {"targets", {"a", "b", "c", [](const S& s) { return s.targets_file; }}},
      {"entry-gateway", {id1, id2, id3, [](const S& s) { return show(s.entry_gateway); }}},
      {"lp-address", {"a", "b", "c", [](const S& s) { return show(s.lp_address); }}},
      {"gateway-ip", {"a", "b", "c", [](const S& s) { return show(s.gateway_ip); }}},
      {"trust-http-identity", flag<&S::trust_http_identity>()},
      {"only-lp-registration", flag<&S::only_lp_registration>()},
      {"mode", {"mixnet", "dvpn", "mixnet", choice(&S::mode, {"dvpn", "mixnet"})}},
      {"ticket-type",
       {"V1MixnetExit", "V1WireguardExit", "V1MixnetEntry",
        [](const S& s) { return std::string(messages::name(s.effective_ticket_type())); }}},
      {"use-mock-ecash", flag<&S::use_mock_ecash>()},
      {"wg-config", {"a", "b", "c", [](const S& s) { return s.wg_config; }}},
      {"only-wireguard", flag<&S::only_wireguard>()},
      {"wg-preshared-key",
       {"none", "identity", "a",
        [](const S& s) {
          return s.wg_preshared_key == PresharedKeySource::file       ? s.wg_preshared_key_file
                 : s.wg_preshared_key == PresharedKeySource::identity ? "identity"
                                                                      : "none";
        }}},
      {"tunnel-handshake-timeout", time_sample<&S::tunnel_handshake_timeout>()},
      {"tunnel-gateway-v4",
       inner<0>("192.0.2.1", "none", "192.0.2.3",
                [](const NetstackSettings& n) { return show(n.gateway.address); })},
      {"tunnel-gateway-v6",
       inner<1>("2001:db8::1", "none", "2001:db8::3",
                [](const NetstackSettings& n) { return show(n.gateway.address); })},
      {"netstack-num-ping",
       {"2", "3", "4", [](const S& s) { return std::to_string(s.netstack_num_ping); }}},
      {"netstack-ping-ips-v4", inner<0>("192.0.2.1", "none", "192.0.2.3", shown_ips, "192.0.2.9")},
      {"netstack-ping-ips-v6",
       inner<1>("2001:db8::1", "none", "2001:db8::3", shown_ips, "2001:db8::9")},
      {"netstack-ping-hosts-v4",
       inner<0>("a.example", "none", "c.example", shown_hosts, "z.example")},
      {"netstack-ping-hosts-v6",
       inner<1>("a.example", "none", "c.example", shown_hosts, "z.example")},
      {"netstack-v4-dns",
       inner<0>("192.0.2.1", "192.0.2.2", "192.0.2.3",
                [](const NetstackSettings& n) { return messages::to_string(n.dns); })},
      {"netstack-v6-dns",
       inner<1>("2001:db8::1", "2001:db8::2", "2001:db8::3",
                [](const NetstackSettings& n) { return messages::to_string(n.dns); })},
      {"netstack-send-timeout-sec", seconds_sample<&S::netstack_send_timeout>()},
      {"netstack-recv-timeout-sec", seconds_sample<&S::netstack_recv_timeout>()},
      {"wallet", {"a", "b", "c", [](const S& s) { return s.wallet; }}},
      {"chain-url", url_sample<&S::chain_url>()},
      {"ecash-contract", {"n1a", "n1b", "n1c", [](const S& s) { return s.ecash_contract; }}},
      {"issuer", url_sample<&S::issuer>()},
      {"issuer-token-file", {"a", "b", "c", [](const S& s) { return s.issuer_token_file; }}},
      {"allow-insecure-chain", flag<&S::allow_insecure_chain>()},
      {"ecash-timeout", time_sample<&S::ecash_timeout>()},
      {"count", {"2", "3", "4", [](const S& s) { return std::to_string(s.count); }}},
      {"interval", time_sample<&S::interval>()},
      {"resolve-timeout", time_sample<&S::resolve_timeout>()},
      {"http-timeout", time_sample<&S::http_timeout>()},
      {"connect-timeout", time_sample<&S::connect_timeout>()},
      {"handshake-timeout", time_sample<&S::handshake_timeout>()},
      {"registration-timeout", time_sample<&S::registration_timeout>()},
      {"ipv4", flag<&S::ipv4>()},
      {"ipv6", flag<&S::ipv6>()},
      {"source-address",
       {"127.0.0.1", "127.0.0.2", "::1", [](const S& s) { return s.source_address->host(); }}},
      {"warn", threshold(&S::warn)},
      {"crit", threshold(&S::crit)},
      {"fail-on", {"none", "warn", "crit", choice(&S::fail_on, {"none", "warn", "crit"})}},
      {"format",
       {"json", "nagios", "prometheus",
        choice(&S::format, {"text", "json", "ndjson", "nagios", "prometheus", "junit"})}},
      {"textfile", {"a", "b", "c", [](const S& s) { return s.textfile; }}},
      {"color", {"always", "never", "auto", choice(&S::color, {"auto", "always", "never"})}},
      {"concurrency", {"2", "3", "4", [](const S& s) { return std::to_string(s.concurrency); }}},
      {"duration",
       {"1001ms", "1002ms", "1003ms", [](const S& s) { return show(s.duration.value()); }}},
      {"rate", {"2", "0.5", "4.25", [](const S& s) { return fmt::format("{:g}", *s.rate); }}},
      {"warmup", time_sample<&S::warmup>()},
      {"threads", {"2", "3", "4", [](const S& s) { return std::to_string(s.threads); }}},
      {"expect",
       {"p99<1s", "p50<1s", "rate>7", [](const S& s) { return s.expect.at(0).text; }, "max<1h"}},
      {"svg", {"a", "b", "c", [](const S& s) { return s.svg; }}},
      {"allow-public-target", flag<&S::allow_public_target>()},
      {"trace", flag<&S::trace>()},
      {"trace-secrets", flag<&S::trace_secrets>()},
      {"quiet", flag<&S::quiet>()},
      {"verbose", {"true", "false", "true", [](const S& s) { return show(s.verbose > 0); }}},
      {"log-level",
       {"debug", "info", "error",
        choice(&S::log_level, {"trace", "debug", "info", "warning", "error", "off"})}},
      {"no-log", flag<&S::no_log>()},
  };
}

class OptionsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  /// --version, so that a run without target or ticket is complete.
  std::expected<Settings, Stop> load_with(std::vector<std::string> args, Environment variables,
                                          const std::string& file = "") {
    args.insert(args.begin(), "--version");
    if (!file.empty()) {
      test::write_file(dir_ / "c.toml", file);
      args.insert(args.begin(), {"--config", (dir_ / "c.toml").string()});
    }
    return load(args, variables);
  }

  test::TempDir dir_;
};

std::string toml(const Option& option, const std::string& value, const std::string& second) {
  switch (option.type) {
    case Type::flag:
      return fmt::format("{} = {}\n", file_key(option), value);
    case Type::value:
      return fmt::format("{} = \"{}\"\n", file_key(option), value);
    case Type::list:
      break;
  }
  return fmt::format("{} = [\"{}\", \"{}\"]\n", file_key(option), value, second);
}

TEST_F(OptionsTest, EveryOptionTakesFlagOverVariableOverFile) {
  const auto all = samples();
  for (const auto& option : table()) {
    if (option.command_line_only) continue;
    SCOPED_TRACE(option.name);
    ASSERT_TRUE(all.contains(std::string(option.name))) << "an option without a sample";
    const auto& sample = all.at(std::string(option.name));
    const std::string file = "# all\n" + toml(option, sample.file, sample.second);
    const auto variables = environment({{environment_name(option), sample.variable}});
    const std::vector<std::string> flag{fmt::format("--{}={}", option.name, sample.flag)};

    const auto from_file = load_with({}, environment(), file);
    ASSERT_TRUE(from_file) << from_file.error().text;
    EXPECT_EQ(sample.read(*from_file), sample.file);
    const auto from_variable = load_with({}, variables, file);
    ASSERT_TRUE(from_variable) << from_variable.error().text;
    EXPECT_EQ(sample.read(*from_variable), sample.variable);
    const auto from_flag = load_with(flag, variables, file);
    ASSERT_TRUE(from_flag) << from_flag.error().text;
    EXPECT_EQ(sample.read(*from_flag), sample.flag);
  }
}

/// Options whose value is a file name, which may be anything.
bool takes_any_path(std::string_view option) {
  return option == "wg-config" || option == "wallet" || option == "issuer-token-file" ||
         option == "wg-preshared-key" || option == "svg" || option == "textfile" ||
         option == "targets";
}

TEST_F(OptionsTest, EveryOptionRefusesNonsenseAndSaysWhereItStood) {
  for (const auto& option : table()) {
    if (option.command_line_only || takes_any_path(option.name)) continue;
    SCOPED_TRACE(option.name);
    const std::string nonsense = "\x01 nonsense";
    const auto flag = load_with({fmt::format("--{}={}", option.name, nonsense)}, environment());
    ASSERT_FALSE(flag);
    EXPECT_EQ(flag.error().exit_status, 64) << flag.error().text;
    const auto variable = load_with({}, environment({{environment_name(option), nonsense}}));
    ASSERT_FALSE(variable);
    EXPECT_EQ(variable.error().exit_status, 78);
    EXPECT_NE(variable.error().text.find(environment_name(option)), std::string::npos);
    const auto file = load_with({}, environment(), file_key(option) + " = \"non/sense\"\n");
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().exit_status, 78);
    EXPECT_NE(file.error().text.find(file_key(option)), std::string::npos);
    EXPECT_EQ(file.error().text.find('\x01'), std::string::npos);
  }
}

TEST_F(OptionsTest, UnknownKeyInTheFileIsAnErrorThatNamesIt) {
  for (const char* file :
       {"bogus = 1\n", "handshake-timeout = 1\n", "[section]\ncount = 2\n", "config = \"x\"\n",
        "version = true\n", "just text\n", "wg_config = \"open\n"}) {
    const auto settings = load_with({}, environment(), file);
    ASSERT_FALSE(settings) << file;
    EXPECT_EQ(settings.error().exit_status, 78) << file;
  }
  EXPECT_NE(load_with({}, environment(), "bogus = 1\n").error().text.find("bogus"),
            std::string::npos);
}

// CLI11 reads it right from 2.4 on; before, what it takes for a comment leaves an open string.
TEST_F(OptionsTest, HashInAStringCutsItOff) {
  const auto settings = load_with({}, environment(), "wg_config = \"/tmp/a # b\"\n");
  if (settings) {
    EXPECT_EQ(settings->wg_config, "/tmp/a # b");
  } else {
    EXPECT_EQ(settings.error().exit_status, 78);
  }
}

TEST_F(OptionsTest, SeveralValuesForAnOptionOfOneAreRefused) {
  EXPECT_EQ(load_with({}, environment(), "count = [1, 2]\n").error().exit_status, 78);
  EXPECT_EQ(load_with({"--count", "1", "--count", "2"}, environment()).error().exit_status, 64);
}

TEST_F(OptionsTest, FileThatWasNamedMustBeThere) {
  const auto missing = load({"--version", "--config", "/nonexistent/lp"}, environment());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().exit_status, 66);
  const auto directory = load({"--version", "--config", "/"}, environment());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().exit_status, 66);
}

TEST_F(OptionsTest, DefaultFileIsReadWhereItExists) {
  const auto home = environment({{"HOME", dir_.path().string()}});
  EXPECT_EQ(load({"--version"}, home)->count, 1u);
  std::filesystem::create_directory(dir_ / ".config");
  test::write_file(dir_ / ".config/lp-probe.toml", "count = 7\n");
  EXPECT_EQ(load({"--version"}, home)->count, 7u);
  std::filesystem::create_directory(dir_ / "xdg");
  test::write_file(dir_ / "xdg/lp-probe.toml", "count = 8\n");
  EXPECT_EQ(load({"--version"}, environment({{"HOME", dir_.path().string()},
                                             {"XDG_CONFIG_HOME", (dir_ / "xdg").string()}}))
                ->count,
            8u);
}

TEST_F(OptionsTest, VerboseCountsAndLettersWork) {
  const auto settings =
      load({"--version", "-vv", "-4", "-c", "3", "-i", "0", "-f", "json"}, environment());
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(settings->verbose, 2u);
  EXPECT_TRUE(settings->ipv4);
  EXPECT_EQ(settings->count, 3u);
  EXPECT_EQ(settings->interval, 0s);
}

TEST_F(OptionsTest, LimitsAreReadFromAllThatIsGiven) {
  const auto settings =
      load({"--version", "-w", "connect=1ms", "--warn", "total=2s"}, environment());
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->warn[static_cast<std::size_t>(Stage::connect)], 1ms);
  EXPECT_EQ(settings->warn[total_threshold], 2s);
  const auto variable =
      load({"--version"}, environment({{"LP_PROBE_CRIT", "connect=1ms,total=2s"}}));
  EXPECT_EQ(variable->crit[total_threshold], 2s);
  for (const char* bad : {"connect", "connect=", "nothing=1s", "=1s", "connect=0"}) {
    EXPECT_EQ(load({"--version", "--warn", bad}, environment()).error().exit_status, 64) << bad;
  }
}

struct Contradiction {
  std::vector<std::string> args;
  std::string what;
};

TEST_F(OptionsTest, ContradictionsAreRefusedWithOneSentence) {
  const std::string other = another_identity();
  const std::string target = id1 + "@127.0.0.1";
  for (const auto& [args, what] : std::vector<Contradiction>{
           {{}, "no TARGET"},
           {{"--chain-url", "https://a", target}, "belong together"},
           {{"--issuer", "https://a", "--issuer-token-file", "f", target}, "belong together"},
           {{"--chain-url", "ftp://a", target}, "--chain-url"},
           {{"--chain-url", "https://a?b", target}, "no query"},
           {{"--ecash-contract", "../x", target}, "contract address"},
           {{"wallet"}, "list, withdraw and export"},
           {{"wallet", "lose"}, "no command 'lose'"},
           {{"wallet", "list", target}, "no TARGET"},
           {{"wallet", "list", "--format", "nagios"}, "text or json"},
           {{"wallet", "list", "--format", "prometheus"}, "text or json"},
           {{"wallet", "list", "--textfile", "f"}, "no --textfile"},
           {{"load", "--use-mock-ecash", "--format", "prometheus", target}, "text or json"},
           {{"load", "--use-mock-ecash", "--textfile", "f", target}, "no --textfile"},
           {{"wallet", "list", "--gateway", "x"}, "--gateway"},
           {{"wallet", "withdraw"}, "--gateway"},
           {{"wallet", "withdraw", "--gateway", id1}, "--issuer"},
           {{"wallet", "export"}, "--gateway or --ticket"},
           {{"wallet", "export", "--gateway", id1, "--ticket", "1"}, "--gateway or --ticket"},
           {{"wallet", "export", "--ticket", "0"}, "--ticket"},
           {{"--use-mock-ecash", "-4", "-6", target}, "exclude"},
           {{"--use-mock-ecash", "--gateway-ip", "h", target}, "in place of"},
           {{"--use-mock-ecash", "--gateway-ip", "h", "--lp-address", "h"}, "in place of"},
           {{"--use-mock-ecash", "-g", other, target}, "another identity"},
           {{"--use-mock-ecash", "-g", other, "--identity", id1, "h"}, "two gateways"},
           {{"--use-mock-ecash", "-g", other, "h1", "h2"}, "several targets"},
           {{"--use-mock-ecash", "--mode", "mixnet", "--wg-config", "f", target}, "tunnel"},
           {{"--use-mock-ecash", "--wg-config", "f", target, target}, "one target"},
           {{"--only-wireguard", "--only-lp-registration", target}, "exclude"},
           {{"--only-wireguard", "--mode", "mixnet", target}, "dvpn"},
           {{"--only-wireguard", "--wg-config", "f", target}, "no TARGET"},
           {{"--only-wireguard", "--wg-config", "f", "--wg-preshared-key", "identity"},
            "the preshared key from the file"},
           {{"--netstack-v4-dns", "::1", target}, "no IPv4 address"},
           {{"--netstack-ping-ips-v6", "1.1.1.1", target}, "no IPv6 address"},
           {{"--netstack-ping-hosts-v4", "a b", target}, "no host name"},
           {{"--netstack-ping-ips-v4", "none", "--netstack-ping-ips-v4", "1.1.1.1", target},
            "stands alone"},
           {{"--netstack-num-ping", "0", target}, "--netstack-num-ping"},
           {{"--netstack-recv-timeout-sec", "11", target}, "--netstack-recv-timeout-sec"},
           {{"--duration", "1s", target}, "--duration belongs to lp-probe load"},
           {{"load", "--use-mock-ecash"}, "no TARGET"},
           {{"load", target}, "--use-mock-ecash, or --count"},
           {{"load", "--use-mock-ecash", target, target}, "one TARGET"},
           {{"load", "--use-mock-ecash", "--format", "nagios", target}, "text or json"},
           {{"load", "--use-mock-ecash", "--trace", target}, "--trace"},
           {{"load", "--use-mock-ecash", "--concurrency", "0", target}, "--concurrency"},
           {{"load", "--use-mock-ecash", "--rate", "0", target}, "--rate"},
           {{"load", "--use-mock-ecash", "--rate", "1e9", target}, "--rate"},
           {{"load", "--use-mock-ecash", "--expect", "p98<1s", target}, "p98"},
           {{"--use-mock-ecash", "host:0"}, "port"},
           {{"decode"}, "INPUT"}}) {
    const auto settings = load(args, environment());
    ASSERT_FALSE(settings) << what;
    EXPECT_EQ(settings.error().exit_status, 64) << what;
    EXPECT_NE(settings.error().text.find(what), std::string::npos) << settings.error().text;
    EXPECT_EQ(std::ranges::count(settings.error().text, '\n'), 1) << settings.error().text;
    EXPECT_FALSE(settings.error().to_stdout);
  }
}

TEST_F(OptionsTest, PresharedKeyComesFromAPrivateFileAndFromNoOther) {
  const std::string target = id1 + "@127.0.0.1";
  const auto file = (dir_ / "psk").string();
  const auto load_key = [&](const std::string& text, unsigned mode) {
    test::write_file(file, text, mode);
    return load({"--wg-preshared-key", file, target}, environment());
  };
  const std::string key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
  const auto good = load_key(key + "\n", 0600);
  ASSERT_TRUE(good) << good.error().text;
  EXPECT_EQ(good->preshared->bytes()[31], 1);
  EXPECT_EQ(load_key(key, 0644).error().exit_status, 77);
  EXPECT_EQ(load_key("short", 0600).error().exit_status, 66);
  EXPECT_EQ(load_key("c2hvcnQ=", 0600).error().exit_status, 66);
  EXPECT_EQ(load_key(key, 0600).value().wg_preshared_key, PresharedKeySource::file);
  EXPECT_EQ(load({"--wg-preshared-key", file + "x", target}, environment()).error().exit_status,
            66);
  EXPECT_EQ(load_key(key.substr(1), 0600).error().text.find("AQEB"), std::string::npos)
      << "an error shows no key";
}

TEST_F(OptionsTest, OnlyWireguardNeedsNoTargetWithAFileAndOneWithout) {
  EXPECT_TRUE(load({"--only-wireguard", "--wg-config", "f"}, environment()));
  EXPECT_TRUE(load({"--only-wireguard", id1 + "@127.0.0.1"}, environment()));
  EXPECT_FALSE(load({"--only-wireguard"}, environment()));
}

TEST_F(OptionsTest, TokensAndKeysGoOverTlsOrLoopbackOrOnRequest) {
  const std::string target = id1 + "@127.0.0.1";
  const auto load_urls = [&](const std::string& chain, const std::string& issuer,
                             std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--chain-url", chain, "--ecash-contract", "n1a", "--issuer", issuer,
                             "--issuer-token-file", "f", target});
    return load(more, environment());
  };
  EXPECT_TRUE(load_urls("https://chain.example", "https://issuer.example/a"));
  EXPECT_TRUE(load_urls("http://127.0.0.1:1317", "http://[::1]:8081"));
  EXPECT_TRUE(
      load_urls("http://chain.example", "http://issuer.example", {"--allow-insecure-chain"}));
  for (const auto& [chain, issuer, what] :
       {std::tuple{"http://chain.example", "https://issuer.example", "--chain-url"},
        std::tuple{"https://chain.example", "http://192.0.2.1", "--issuer"}}) {
    const auto settings = load_urls(chain, issuer);
    ASSERT_FALSE(settings) << what;
    EXPECT_EQ(settings.error().exit_status, 64);
    EXPECT_NE(settings.error().text.find(what), std::string::npos) << settings.error().text;
    EXPECT_NE(settings.error().text.find("--allow-insecure-chain"), std::string::npos);
  }
}

TEST_F(OptionsTest, TheWalletIsInTheDataDirectoryOfTheUser) {
  const auto wallet = [&](std::map<std::string, std::string> variables) {
    return load({"--version"}, environment(std::move(variables)))->wallet;
  };
  EXPECT_EQ(wallet({{"HOME", "/h"}}), "/h/.local/share/lp-probe/wallet.sqlite");
  EXPECT_EQ(wallet({{"HOME", "/h"}, {"XDG_DATA_HOME", "/d"}}), "/d/lp-probe/wallet.sqlite");
  EXPECT_EQ(wallet({{"HOME", "/h"}, {"LP_PROBE_WALLET", "/w"}}), "/w");
  EXPECT_EQ(wallet({}), "");
}

TEST_F(OptionsTest, IdentityGoesToTheTargetWithoutOne) {
  const auto settings = load({"--use-mock-ecash", "-g", id1, "host:7"}, environment());
  ASSERT_TRUE(settings) << settings.error().text;
  ASSERT_EQ(settings->targets.size(), 1u);
  EXPECT_EQ(show(settings->targets[0].identity), id1);
  const auto address =
      load({"--use-mock-ecash", "--identity", id1, "--lp-address", "[::1]:7"}, environment());
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->targets.at(0).host, "::1");
  EXPECT_EQ(show(address->targets[0].identity), id1);
}

TEST_F(OptionsTest, HelpNamesEveryFlagWithItsHelp) {
  const auto help = load({"--help"}, environment());
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().exit_status, 0);
  EXPECT_TRUE(help.error().to_stdout);
  for (const auto& option : table()) {
    EXPECT_NE(help.error().text.find(fmt::format("--{}", option.name)), std::string::npos)
        << option.name;
    EXPECT_NE(help.error().text.find(option.help), std::string::npos) << option.name;
  }
}

TEST_F(OptionsTest, ManualPageNamesEveryFlagAndEveryErrorCode) {
  const std::string page = test::read_file(std::string(LP_SOURCE_DIR) + "/man/lp-probe.1");
  for (const auto& option : table()) {
    EXPECT_NE(page.find(fmt::format("Fl -{}", option.name)), std::string::npos) << option.name;
    if (option.letter != 0) {
      EXPECT_NE(page.find(fmt::format(".It Fl {} , Fl -{}", option.letter, option.name)),
                std::string::npos)
          << option.letter;
    }
  }
  for (const auto& row : error_codes()) {
    EXPECT_NE(page.find(fmt::format(".It Cm {}\n", row.name)), std::string::npos) << row.name;
  }
}

}  // namespace
}  // namespace lp::probe::options
