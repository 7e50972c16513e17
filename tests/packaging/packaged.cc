#include "tests/packaging/packaged.h"

#include <boost/json.hpp>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/support/raw_client.h"

namespace lp::test {
namespace {

std::size_t indentation(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

/// What stands after `key: ` in this line, or nothing.
std::optional<std::string> value_of(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(key + ": ");
  if (at == std::string::npos || line.find_first_not_of(" -") != at) return std::nullopt;
  return line.substr(at + key.size() + 2);
}

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

}  // namespace

std::string source_file(std::string_view path) {
  return read_file(std::filesystem::path(LP_SOURCE_DIR) / path);
}

std::vector<AlertRule> packaged_alerts() {
  std::vector<AlertRule> alerts;
  std::istringstream lines(source_file("packaging/prometheus/lp-gateway.rules.yml"));
  std::size_t block = 0;  // the indentation of the `expr: |` whose lines follow
  for (std::string line; std::getline(lines, line);) {
    if (block != 0 && indentation(line) > block) {
      alerts.back().expression += line + "\n";
      continue;
    }
    block = 0;
    if (auto name = value_of(line, "alert")) {
      alerts.push_back({.name = *name, .expression = {}, .runbook = {}});
    } else if (auto runbook = value_of(line, "runbook")) {
      alerts.back().runbook = *runbook;
    } else if (auto expression = value_of(line, "expr")) {
      if (*expression == "|") {
        block = indentation(line);
      } else {
        alerts.back().expression = *expression;
      }
    }
  }
  return alerts;
}

std::vector<PanelQuery> dashboard_queries() {
  std::vector<PanelQuery> queries;
  const auto dashboard = boost::json::parse(source_file("packaging/grafana/lp-gateway.json"));
  for (const auto& panel : dashboard.at("panels").as_array()) {
    if (panel.at("type") == "row") continue;
    for (const auto& target : panel.at("targets").as_array()) {
      queries.push_back({.panel = std::string(panel.at("title").as_string()),
                         .expression = std::string(target.at("expr").as_string())});
    }
  }
  return queries;
}

std::string http_get(std::uint16_t port, std::string_view path) {
  RawConnection connection("127.0.0.1", port);
  // 1.0: the answer comes in one piece.
  const std::string request = "GET " + std::string(path) + " HTTP/1.0\r\n\r\n";
  connection.send(Bytes(request.begin(), request.end()));
  const auto bytes = connection.receive_until_closed();
  if (!bytes) throw std::runtime_error("no answer to " + std::string(path));
  const std::string answer(bytes->begin(), bytes->end());
  const std::size_t body = answer.find("\r\n\r\n");
  if (answer.find(" 200 ") != std::string_view("HTTP/1.x").size() || body == std::string::npos) {
    throw std::runtime_error(std::string(path) + ": " + answer);
  }
  return answer.substr(body + 4);
}

EphemeralGateway::EphemeralGateway()
    : child_({.program = program("lp-gateway"),
              .args = {"run", "--ephemeral", "--log-level", "warning"},
              .environment = {{"TMPDIR", temporary_.path().string()}}}) {
  const auto ready = child_.read_line();
  std::smatch match;
  if (!ready ||
      !std::regex_match(*ready, match, std::regex("ready lp=(\\S+) http=(\\S+) identity=(\\S+)"))) {
    throw std::runtime_error("lp-gateway did not start: " + child_.error_output());
  }
  lp_port_ = port_of(match[1]);
  http_port_ = port_of(match[2]);
  identity_ = match[3];
  lp_key_ = crypto::Identity::from_base58(identity_).value().to_x25519().value();
}

std::string EphemeralGateway::maintenance_metrics() const {
  const std::filesystem::path textfile = temporary_ / "maintenance.prom";
  for (const auto& entry : std::filesystem::directory_iterator(temporary_.path())) {
    if (!entry.is_directory()) continue;
    const auto cleaned = run({.program = program("lp-db-maint"),
                              .args = {"cleanup", "--storage", entry.path() / "gateway.sqlite",
                                       "--textfile", textfile}});
    if (cleaned.ended.code != 0) throw std::runtime_error("lp-db-maint: " + cleaned.error_output);
    return read_file(textfile);
  }
  throw std::runtime_error("the gateway has no data directory");
}

std::string EphemeralGateway::probe_metrics() const {
  const std::filesystem::path textfile = temporary_ / "probe.prom";
  const auto target = [&](std::uint16_t port) {
    return identity_ + "@127.0.0.1:" + std::to_string(port);
  };
  const auto probed = run({.program = program("lp-probe"),
                           .args = {"--only-lp-registration", "--use-mock-ecash", "--textfile",
                                    textfile, target(lp_port_), target(free_port())}});
  if (probed.ended.code != 2) throw std::runtime_error("lp-probe: " + probed.error_output);
  return read_file(textfile);
}

std::filesystem::path installed(std::string_view program) {
  for (const char* const folder : {"/usr/local/bin", "/usr/bin"}) {
    std::filesystem::path path = std::filesystem::path(folder) / program;
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

}  // namespace lp::test
