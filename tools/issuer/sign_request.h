// The body of POST /v1/sign, and its answers (docs/ecash.md, "Withdrawal").
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/crypto/bls.h"
#include "lib/http/message.h"
#include "lib/messages/registration.h"
#include "lib/sqlite/sqlite.h"

namespace lp::issuer {

inline constexpr std::size_t max_points = 64;
/// Room for `max_points` points and then some white space.
inline constexpr std::size_t max_sign_body = 16 * 1024;

/// When whoever was answered 503 may come again.
inline constexpr std::chrono::seconds retry_after{1};

/// Why a request was refused, as the client is told.
struct Refused {
  unsigned status = 400;
  std::string_view code;               ///< stable, snake_case
  std::string message;                 ///< one sentence, without full stop
  std::optional<std::size_t> index{};  ///< the point at fault, from 0
};

/// What is told of a database that fails; why, is logged.
[[nodiscard]] Refused database_failed(const sqlite::Error& error);

struct SignRequest {
  std::int64_t epoch_id = 0;
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  std::vector<crypto::G1Point> points;
  /// The same, as they came: a point has one encoding.
  std::vector<crypto::G1Encoding> encodings;
};

/// Takes a JSON object with epoch_id, ticket_type and blinded; passes over other members. Checks
/// every point.
[[nodiscard]] std::expected<SignRequest, Refused> parse_sign_request(std::string_view body);

/// {"signatures":["<base64>"…]}
[[nodiscard]] http::Answer signatures_answer(const std::vector<crypto::G1Encoding>& signatures);
/// {"error":…,"message":…} and "index" where a point is at fault.
[[nodiscard]] http::Answer refused_answer(const Refused& refused);

}  // namespace lp::issuer
