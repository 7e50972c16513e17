#include "gateway/config/settings.h"

namespace lp::gateway {

ReloadableSettings reloadable(const Settings& settings) {
  return {.max_connections = settings.max_connections,
          .max_connections_per_address = settings.max_connections_per_address,
          .timestamp_tolerance_secs = settings.timestamp_tolerance_secs,
          .deadlines = settings.deadlines,
          .metrics_allow = settings.metrics_allow,
          .log_level = settings.log_level};
}

}  // namespace lp::gateway
