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

bool ConnectionTable::admit(Connection& connection) {
  const auto is_same = [&connection](const Connection* other) {
    return same_client(other->peer_, connection.peer_);
  };
  const auto same = static_cast<std::size_t>(std::ranges::count_if(order_, is_same));
  if (same >= options_.max_connections_per_address) {
    evict(std::ranges::find_if(order_, is_same));
  } else if (order_.size() >= options_.max_connections) {
    auto victim = std::ranges::find_if(
        order_, [this](const Connection* other) { return !is_favoured(*other); });
    // Strangers must not be able to push out those who watch over the program.
    if (victim == order_.end() && !is_favoured(connection)) return false;
    if (victim == order_.end()) victim = order_.begin();
    evict(victim);
  }
  connection.place_ = order_.insert(order_.end(), &connection);
  connection.listed_ = true;
  return true;
}

void ConnectionTable::touch(Connection& connection) noexcept {
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
