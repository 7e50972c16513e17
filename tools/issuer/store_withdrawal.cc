#include <algorithm>

#include "tools/issuer/store.h"

namespace lp::issuer {

using sqlite::Query;

sqlite::Result<std::expected<Withdrawn, WithdrawalRefusal>> Store::withdraw(
    const WithdrawalRequest& request, UnixSeconds now) {
  using Outcome = std::expected<Withdrawn, WithdrawalRefusal>;
  return in_transaction([&]() -> sqlite::Result<Outcome> {
    const auto refused = refusal(request, now);
    if (!refused) return std::unexpected(refused.error());
    if (*refused) return Outcome(std::unexpected(**refused));
    const auto points = new_points(request);
    if (!points) return std::unexpected(points.error());
    if (points->empty()) return Outcome(Withdrawn{});
    const auto enough = can_charge(request, static_cast<std::int64_t>(points->size()));
    if (!enough) return std::unexpected(enough.error());
    if (!*enough) return Outcome(std::unexpected(WithdrawalRefusal::allowance_used_up));
    if (auto charged = charge(request, *points); !charged) return std::unexpected(charged.error());
    return Outcome(Withdrawn{.charged = points->size()});
  });
}

sqlite::Result<std::optional<WithdrawalRefusal>> Store::refusal(const WithdrawalRequest& request,
                                                                UnixSeconds now) {
  Query token(statement(Sql::select_live_token));
  const auto live = token.bind(request.token).next();
  if (!live) return std::unexpected(live.error());
  if (!*live) return WithdrawalRefusal::token_unknown;
  Query epoch(statement(Sql::select_epoch));
  const auto known = epoch.bind(request.epoch).next();
  if (!known) return std::unexpected(known.error());
  if (!*known) return WithdrawalRefusal::epoch_unknown;
  if (now >= static_cast<UnixSeconds>(epoch.integer(0))) return WithdrawalRefusal::epoch_expired;
  return std::nullopt;
}

/// The points that were not recorded before, each once.
sqlite::Result<std::vector<crypto::G1Encoding>> Store::new_points(
    const WithdrawalRequest& request) {
  std::vector<crypto::G1Encoding> points(request.points.begin(), request.points.end());
  std::ranges::sort(points);
  points.erase(std::ranges::unique(points).begin(), points.end());
  std::vector<crypto::G1Encoding> fresh;
  for (const auto& point : points) {
    Query query(statement(Sql::has_withdrawal));
    query.bind(request.token).bind(request.epoch).bind(messages::name(request.type));
    const auto known = query.bind(ByteView(point)).next();
    if (!known) return std::unexpected(known.error());
    if (!*known) fresh.push_back(point);
  }
  return fresh;
}

sqlite::Result<bool> Store::can_charge(const WithdrawalRequest& request, std::int64_t count) {
  Query total(statement(Sql::select_allowance));
  const auto row = total.bind(request.token).next();
  if (!row) return std::unexpected(row.error());
  if (!*row || (!total.is_null(0) && total.integer(0) < count)) return false;
  const bool by_type = total.integer(1) != 0;
  if (!by_type) return !total.is_null(0);
  Query of_type(statement(Sql::select_type_allowance));
  const auto found = of_type.bind(request.token).bind(messages::name(request.type)).next();
  if (!found) return std::unexpected(found.error());
  return *found && of_type.integer(0) >= count;
}

sqlite::Status Store::charge(const WithdrawalRequest& request,
                             std::span<const crypto::G1Encoding> points) {
  const std::string_view type = messages::name(request.type);
  const auto count = static_cast<std::int64_t>(points.size());
  for (const auto& point : points) {
    Query query(statement(Sql::insert_withdrawal));
    query.bind(request.token).bind(request.epoch).bind(type).bind(ByteView(point));
    if (auto done = query.run(); !done) return done;
  }
  auto charged = Query(statement(Sql::charge_token)).bind(count).bind(request.token).run();
  if (!charged) return charged;
  return Query(statement(Sql::charge_type)).bind(count).bind(request.token).bind(type).run();
}

}  // namespace lp::issuer
