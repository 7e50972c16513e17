// Keys as JSON, for those who keep them in files.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <expected>
#include <string>
#include <vector>

#include "lib/net/verification_keys.h"

namespace lp::net {

/// {"epoch_id":…,"ticket_type":…,"expiry":…,"public_key":…} for each; checks each by itself.
[[nodiscard]] std::expected<std::vector<ChainKey>, std::string> keys_from_json(
    const boost::json::array& array);
[[nodiscard]] boost::json::array to_json(const std::vector<ChainKey>& keys);

/// Parses a text from a stranger: bounded depth, no exceptions.
[[nodiscard]] std::expected<boost::json::value, std::string> parse_json(std::string_view text);

/// What is wrong where two keys stand for one type and expiry, or one public key under two of them;
/// empty where neither is so.
[[nodiscard]] std::string find_clash(const std::vector<ChainKey>& keys);

}  // namespace lp::net
