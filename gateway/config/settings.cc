#include "gateway/config/settings.h"

#include "lib/postgres/url.h"

namespace lp::gateway {

ReloadableSettings reloadable(const Settings& settings) {
  return {.max_connections = settings.max_connections,
          .max_connections_per_address = settings.max_connections_per_address,
          .timestamp_tolerance_secs = settings.timestamp_tolerance_secs,
          .deadlines = settings.deadlines,
          .metrics_allow = settings.metrics_allow,
          .log_level = settings.log_level};
}

bool on_postgres(const Settings& settings) {
  return postgres::Url::looks_like(settings.storage);
}

}  // namespace lp::gateway
