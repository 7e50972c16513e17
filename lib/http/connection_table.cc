#include <algorithm>

#include "lib/http/connection.h"

namespace lp::http {
namespace {

/// One client may own a whole IPv6 /64, so that counts as one address.
bool same_client(const messages::IpAddress& a, const messages::IpAddress& b) noexcept {
  const auto* a6 = std::get_if<messages::IpV6>(&a);
  const auto* b6 = std::get_if<messages::IpV6>(&b);
  if (a6 == nullptr || b6 == nullptr) return a == b;
  return std::equal(a6->octets.begin(), a6->octets.begin() + 8, b6->octets.begin());
}

}  // namespace

bool ConnectionTable::is_favoured(const Connection& connection) const {
  return options_.is_favoured && options_.is_favoured(connection.peer_);
}

template <typename MayGo>
std::list<Connection*>::iterator ConnectionTable::find_victim(MayGo may_go) {
  for (const Stage stage : {Stage::draining, Stage::reading}) {
    const auto found = std::ranges::find_if(
        order_, [&](const Connection* other) { return other->stage_ == stage && may_go(other); });
    if (found != order_.end()) return found;
  }
  return order_.end();
}

bool ConnectionTable::admit(Connection& connection) {
  const auto is_same = [&connection](const Connection* other) {
    return same_client(other->peer_, connection.peer_);
  };
  const auto is_stranger = [this](const Connection* other) { return !is_favoured(*other); };
  const auto anybody = [](const Connection*) { return true; };
  const auto same = static_cast<std::size_t>(std::ranges::count_if(order_, is_same));
  if (same >= options_.max_connections_per_address) {
    const auto victim = find_victim(is_same);
    if (victim == order_.end()) return false;
    evict(victim);
  } else if (order_.size() >= options_.max_connections) {
    auto victim = find_victim(is_stranger);
    if (victim == order_.end() && is_favoured(connection)) {
      // Strangers must not be able to keep out those who watch over the program.
      victim = std::ranges::find_if(order_, is_stranger);
      if (victim == order_.end()) victim = find_victim(anybody);
    }
    if (victim == order_.end()) return false;
    evict(victim);
  }
  connection.place_ = order_.insert(order_.end(), &connection);
  connection.listed_ = true;
  return true;
}

void ConnectionTable::enter(Connection& connection, Stage stage) noexcept {
  connection.stage_ = stage;
  if (connection.listed_) order_.splice(order_.end(), order_, connection.place_);
}

void ConnectionTable::remove(Connection& connection) noexcept {
  if (!connection.listed_) return;
  order_.erase(connection.place_);
  connection.listed_ = false;
}

void ConnectionTable::close_all() noexcept {
  while (!order_.empty())
    evict(order_.begin());
}

void ConnectionTable::evict(std::list<Connection*>::iterator victim) noexcept {
  Connection& connection = **victim;
  remove(connection);
  connection.close();
}

}  // namespace lp::http
