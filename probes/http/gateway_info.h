// Who a gateway says it is, over HTTP.
//
// Nothing here authenticates: whoever answers names any identity, and a signature made with that
// identity's own key only shows that the answer was not changed. The LP handshake then proves that
// the peer holds the key, not that it is the gateway that was meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/crypto/keys.h"
#include "probes/http/http_get.h"
#include "probes/resolve.h"

namespace lp::probe::http {

inline constexpr std::uint16_t default_http_port = 8080;

struct GatewayInfo {
  crypto::Identity identity;
  std::uint16_t lp_port = 0;
  std::optional<std::string> version;  ///< as it names itself
  std::optional<bool> mock_ecash;      ///< nothing where it does not say
  std::optional<UnixSeconds> date;     ///< the answer's Date header
};

/// The body of /api/v1/lp (docs/gateway.md, "HTTP"). Fails with http_invalid.
[[nodiscard]] Outcome<GatewayInfo> parse_lp_info(std::string_view body);

/// The body of /api/v1/host-information as nym-node gives it: `data` with the keys, and an Ed25519
/// signature in base58 over the JSON text of `data`. The signature is checked over `data` as it was
/// received and over the older forms with fewer keys, which older nodes sign. Fails with
/// http_invalid, host_information_signature. The LP port is the default one.
[[nodiscard]] Outcome<GatewayInfo> parse_host_information(std::string_view body);

struct Where {
  std::string host;
  std::optional<std::uint16_t> port;  ///< HTTP; 8080, then 443 and 80 where it is not given
  Family family = Family::any;
};

/// Asks /api/v1/lp, then host-information. Errors as http_get, the parsers and resolve have them;
/// of several the one that tells most.
[[nodiscard]] Outcome<GatewayInfo> ask_gateway(const Where& where, MonotonicTime resolve_deadline,
                                               MonotonicTime http_deadline, int cancel_fd);

/// What /api/v1/lp tells about a gateway that refused ClientHello.
struct Observation {
  std::optional<std::int64_t> clock_offset_seconds;  ///< the gateway's clock less ours
  std::optional<crypto::Identity> identity;
};
[[nodiscard]] Observation observe_gateway(client::Endpoint gateway, const std::string& host,
                                          std::uint16_t http_port, MonotonicTime deadline,
                                          int cancel_fd);

}  // namespace lp::probe::http
