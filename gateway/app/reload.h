// SIGHUP: settings read again.
#pragma once

#include "gateway/app/configuration.h"
#include "gateway/app/gateway.h"

namespace lp::gateway::app {

/// Remembers what runs, to tell what changed.
class Reloader {
 public:
  /// The references must outlive it. `running` is what the gateway was started with.
  Reloader(const SettingsSource& source, Gateway& gateway, Settings running)
      : source_(source), gateway_(gateway), running_(std::move(running)) {}

  /// Reads file and environment again and applies what can be applied. Settings that do not do are
  /// logged and change nothing; those that need a restart are logged.
  void reload();

 private:
  void log_differences(const Settings& next) const;

  const SettingsSource& source_;
  Gateway& gateway_;
  Settings running_;
};

}  // namespace lp::gateway::app
