#include "tools/issuer/contract.h"

#include <boost/json.hpp>

#include "lib/base/encoding.h"

namespace lp::issuer {
namespace {

namespace json = boost::json;

std::string to_answer(const std::vector<PublicKeyRow>& rows) {
  json::array keys;
  keys.reserve(rows.size());
  for (const PublicKeyRow& row : rows) {
    const std::string_view type = messages::name(row.type);
    keys.push_back(json::object{{"epoch_id", row.epoch.id},
                                {"ticket_type", json::string_view(type.data(), type.size())},
                                {"expiry", row.epoch.expiry},
                                {"public_key", to_base64(row.public_key)}});
  }
  const json::object answer{{"data", json::object{{"keys", std::move(keys)}}}};
  return json::serialize(answer) + "\n";
}

}  // namespace

std::expected<std::string, Refused> Contract::verification_keys() {
  if (auto rotated = store_.rotate(clock_.now()); !rotated) {
    return std::unexpected(database_failed(rotated.error()));
  }
  const auto epochs = store_.epochs();
  if (!epochs) return std::unexpected(database_failed(epochs.error()));
  std::vector<EpochId> ids;
  for (const Epoch& epoch : *epochs)
    ids.push_back(epoch.id);
  if (answer_.empty() || ids != answered_epochs_) {
    const auto rows = store_.public_keys();
    if (!rows) return std::unexpected(database_failed(rows.error()));
    answer_ = to_answer(*rows);
    answered_epochs_ = std::move(ids);
  }
  return answer_;
}

}  // namespace lp::issuer
