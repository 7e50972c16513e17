// What systemd is told when it has started the gateway as Type=notify.
#pragma once

#include <string_view>

namespace lp::gateway::app {

/// Sends `state`, such as "READY=1", to the socket that NOTIFY_SOCKET names; sd_notify(3), without
/// its library. Does nothing where that is not set. What cannot be sent is logged: systemd would
/// end a gateway that it takes for one that hangs while it starts.
void tell_service_manager(std::string_view state);

}  // namespace lp::gateway::app
