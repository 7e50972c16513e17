// The packaged files and the programs they watch.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/crypto/keys.h"
#include "tests/support/process.h"

namespace lp::test {

/// A file of the sources.
[[nodiscard]] std::string source_file(std::string_view path);

struct AlertRule {
  std::string name;
  std::string expression;
  std::string runbook;
};
/// Those of packaging/prometheus/lp-gateway.rules.yml.
[[nodiscard]] std::vector<AlertRule> packaged_alerts();

struct PanelQuery {
  std::string panel;
  std::string expression;
};
/// Those of packaging/grafana/lp-gateway.json.
[[nodiscard]] std::vector<PanelQuery> dashboard_queries();

/// The answer's body. Throws where nothing answers, or not with 200.
[[nodiscard]] std::string http_get(std::uint16_t port, std::string_view path);

/// `lp-gateway run --ephemeral`, and lp-db-maint and lp-probe beside it.
class EphemeralGateway {
 public:
  EphemeralGateway();

  [[nodiscard]] std::uint16_t lp_port() const { return lp_port_; }
  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
  [[nodiscard]] const crypto::X25519Public& lp_key() const { return lp_key_; }
  [[nodiscard]] Child& child() { return child_; }
  [[nodiscard]] std::string metrics() const { return http_get(http_port_, "/metrics"); }
  /// What `lp-db-maint cleanup --textfile` writes about its database.
  [[nodiscard]] std::string maintenance_metrics() const;
  /// What `lp-probe --textfile` writes about it, and about a port where nobody listens.
  [[nodiscard]] std::string probe_metrics() const;

 private:
  TempDir temporary_;
  Child child_;
  std::uint16_t lp_port_ = 0;
  std::uint16_t http_port_ = 0;
  crypto::X25519Public lp_key_;
  std::string identity_;
};

/// Where Debian's package `prometheus` puts the programs; none where it is not installed.
[[nodiscard]] std::filesystem::path installed(std::string_view program);

}  // namespace lp::test
