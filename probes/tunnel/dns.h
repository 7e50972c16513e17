// One DNS question and its answer over UDP (RFC 1035, RFC 3596): A and AAAA.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/messages/registration.h"

namespace lp::probe::tunnel {

enum class RecordType : std::uint16_t { a = 1, aaaa = 28 };

struct Question {
  std::string name;  ///< "example.org", without the dot at its end
  RecordType type = RecordType::a;
};

/// True for a name that can be asked for: labels of 1 to 63 letters, digits, hyphens and
/// underscores, 253 characters at most.
[[nodiscard]] bool is_host_name(std::string_view name) noexcept;

/// A recursive query. The name is one that is_host_name takes.
[[nodiscard]] Bytes make_query(std::uint16_t id, const Question& question);

enum class DnsError : std::uint8_t {
  not_the_answer,  ///< another id or question, or no response: wait for the true one
  malformed,       ///< it is the answer, and its bytes make no sense
  truncated,       ///< the answer does not fit into a datagram, and holds no address
  name_unknown,    ///< NXDOMAIN
  refused,         ///< the resolver refuses, or failed
  no_address,      ///< the name has none of this type
};
/// "the name does not exist", …
[[nodiscard]] std::string_view gloss(DnsError error) noexcept;

/// The addresses that the answer gives for the question, aliases followed; at least one. Work is
/// bounded by the message: compression pointers lead backwards only, and names end at 255 bytes.
[[nodiscard]] std::expected<std::vector<messages::IpAddress>, DnsError> parse_answer(
    ByteView message, std::uint16_t id, const Question& question);

}  // namespace lp::probe::tunnel
