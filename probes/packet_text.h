// Packets and messages as text for people: --trace and lp-probe decode.
#pragma once

#include <string>

#include "lib/base/bytes.h"

namespace lp::probe {

/// Whether keys and tickets are shown or stand as <redacted>, in hexadecimal as "..".
enum class Secrets : bool { redacted, shown };

/// Lines for one packet without its frame length: a headline with type, sizes and header fields,
/// what can be told of the content, and a hexadecimal dump. A packet that does not parse gets its
/// error and the dump. Every line ends with a newline and begins with `indent`.
[[nodiscard]] std::string describe_packet(ByteView packet, Secrets secrets,
                                          std::string_view indent = "");

/// Lines for the plaintext of a request or a response.
[[nodiscard]] std::string describe_request(ByteView plaintext, Secrets secrets,
                                           std::string_view indent = "");
[[nodiscard]] std::string describe_response(ByteView plaintext, Secrets secrets,
                                            std::string_view indent = "");

}  // namespace lp::probe
