// The target of a CosmWasm smart query over a chain's REST endpoint (docs/ecash.md, "Chain").
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "lib/http/message.h"

namespace lp::issuer {

inline constexpr std::string_view contract_prefix = "/cosmwasm/wasm/v1/contract/";

/// Whether `path`, which begins with `contract_prefix`, asks this contract for its verification
/// keys; if not, the answer in the manner of a Cosmos node: 404 for another contract or no smart
/// query, 400 for a query that is none or that the contract does not know.
[[nodiscard]] std::expected<void, http::Answer> check_smart_query(std::string_view path,
                                                                  std::string_view contract);

/// {"code":…,"message":…,"details":[]}
[[nodiscard]] http::Answer chain_error(unsigned status, std::string_view message);

}  // namespace lp::issuer
