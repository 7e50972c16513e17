// Binding and listening.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "gateway/connection/server.h"
#include "gateway/connection/unique_fd.h"
#include "lib/messages/registration.h"

namespace lp::gateway::connection {

struct ListeningSocket {
  UniqueFd fd;
  messages::SocketAddress address;  ///< as bound
};

/// One non-blocking listening socket for each address, all on one port; port 0: a free one. "::"
/// takes IPv4 too unless another address of the list is IPv4. Errors name the address.
[[nodiscard]] std::expected<std::vector<ListeningSocket>, ServerError> listen_on(
    const std::vector<std::string>& addresses, std::uint16_t port);

}  // namespace lp::gateway::connection
