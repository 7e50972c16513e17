#include "tools/issuer/issuer.h"

#include <fmt/format.h>

#include "tools/issuer/token.h"

namespace lp::issuer {
namespace {

/// More keys than are in use at any time: two or three epochs of four types.
constexpr std::size_t max_cached_keys = 64;

std::unexpected<Refused> failed(const sqlite::Error& error) {
  return std::unexpected(database_failed(error));
}

std::unexpected<Refused> unauthorised() {
  return std::unexpected(Refused{
      .status = 401, .code = "unauthorised", .message = "the bearer token is unknown or revoked"});
}

std::unexpected<Refused> refused(WithdrawalRefusal refusal, const SignRequest& request) {
  switch (refusal) {
    case WithdrawalRefusal::token_unknown:
      return unauthorised();
    case WithdrawalRefusal::epoch_unknown:
      return std::unexpected(
          Refused{.status = 409,
                  .code = "epoch_unknown",
                  .message = fmt::format("there is no epoch {}", request.epoch_id)});
    case WithdrawalRefusal::epoch_expired:
      return std::unexpected(
          Refused{.status = 409,
                  .code = "epoch_expired",
                  .message = fmt::format("epoch {} has expired", request.epoch_id)});
    case WithdrawalRefusal::allowance_used_up:
      break;
  }
  return std::unexpected(
      Refused{.status = 429,
              .code = "allowance_used_up",
              .message = fmt::format("the token's allowance does not cover {} more {}",
                                     request.points.size(), messages::name(request.type))});
}

}  // namespace

std::expected<void, Refused> Issuer::rotate() {
  if (auto rotated = store_.rotate(clock_.now()); !rotated) return failed(rotated.error());
  return {};
}

std::expected<TokenId, Refused> Issuer::authenticate(std::string_view token) {
  if (token.empty()) return unauthorised();
  const auto found = store_.find_token(hash_token(token));
  if (!found) return failed(found.error());
  if (!*found) return unauthorised();
  return **found;
}

std::expected<const ecash::IssuerKey*, Refused> Issuer::key(EpochId epoch, TicketType type) {
  const std::pair name(epoch, type);
  if (const auto found = keys_.find(name); found != keys_.end()) return &found->second;
  const auto secret = store_.signing_key(epoch, type);
  if (!secret) return failed(secret.error());
  auto made = *secret ? ecash::IssuerKey::from_secret(**secret) : fail(Error::scalar_invalid);
  if (!made) {
    return failed(
        {sqlite::Error::Kind::corrupt, fmt::format("has no usable key of epoch {}", epoch)});
  }
  if (keys_.size() >= max_cached_keys) keys_.clear();
  return &keys_.emplace(name, *std::move(made)).first->second;
}

std::expected<std::vector<crypto::G1Encoding>, Refused> Issuer::sign(std::string_view token,
                                                                     std::string_view body) {
  if (auto rotated = rotate(); !rotated) return std::unexpected(rotated.error());
  const auto bearer = authenticate(token);
  if (!bearer) return std::unexpected(bearer.error());
  const auto request = parse_sign_request(body);
  if (!request) return std::unexpected(request.error());
  const auto withdrawn = store_.withdraw({.token = *bearer,
                                          .epoch = request->epoch_id,
                                          .type = request->type,
                                          .points = request->encodings},
                                         clock_.now());
  if (!withdrawn) return failed(withdrawn.error());
  if (!*withdrawn) return refused(withdrawn->error(), *request);
  counters_.count_signed(request->type, (*withdrawn)->charged,
                         request->points.size() - (*withdrawn)->charged);
  const auto signing_key = key(request->epoch_id, request->type);
  if (!signing_key) return std::unexpected(signing_key.error());
  std::vector<crypto::G1Encoding> signatures;
  signatures.reserve(request->points.size());
  for (const auto& point : request->points)
    signatures.push_back((*signing_key)->sign(point).encode());
  return signatures;
}

}  // namespace lp::issuer
