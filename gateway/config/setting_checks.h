// Which texts a setting takes. The error is the end of a sentence: "must be a path".
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace lp::gateway::config {

using Assigned = std::expected<void, std::string>;

[[nodiscard]] std::unexpected<std::string> must(std::string_view what);

[[nodiscard]] Assigned check_path(const std::string& value);
[[nodiscard]] Assigned check_optional_path(const std::string& value);
[[nodiscard]] Assigned check_address(const std::string& value);
[[nodiscard]] Assigned check_optional_address(const std::string& value);
[[nodiscard]] Assigned check_network(const std::string& value);
[[nodiscard]] Assigned check_ipv4_pool(const std::string& value);
[[nodiscard]] Assigned check_ipv6_pool(const std::string& value);
[[nodiscard]] Assigned check_storage(const std::string& value);
[[nodiscard]] Assigned check_instance(const std::string& value);
[[nodiscard]] Assigned check_interface(const std::string& value);
[[nodiscard]] Assigned check_preshared_key(const std::string& value);
[[nodiscard]] Assigned check_chain_url(const std::string& value);
[[nodiscard]] Assigned check_contract(const std::string& value);
[[nodiscard]] Assigned check_log_level(const std::string& value);
[[nodiscard]] Assigned check_log_format(const std::string& value);

}  // namespace lp::gateway::config
