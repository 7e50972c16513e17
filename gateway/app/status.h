// What `lp-gateway status` shows, and the requests that the control socket answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/settings.h"
#include "gateway/storage/storage.h"
#include "gateway/wireguard/reconciler.h"

namespace lp::gateway::app {

struct Status {
  std::string version;
  std::chrono::steady_clock::duration uptime{};
  std::string identity;
  std::string lp_public_key;
  std::string wireguard_public_key;
  std::string data_dir;
  std::string lp_address;
  std::string http_address;
  bool mock_ecash = false;
  std::size_t active_connections = 0;
  std::size_t registrations_in_flight = 0;
  std::string database;  ///< as people may see it: without a password
  std::string instance;  ///< empty on SQLite
  storage::StorageStats storage;
  bool wireguard_healthy = false;
  std::size_t wireguard_peers = 0;
  wireguard::Comparison comparison;
  ReloadableSettings limits;
  std::vector<std::string> not_ready;
  std::vector<std::string> warnings;
};

/// The answer to a request on the control socket: {"ok":true,…} or {"ok":false,"error":SENTENCE}.
[[nodiscard]] std::string answer_request(const std::vector<std::string>& words,
                                         const Status& status);

/// The answer that says no, with its sentence.
[[nodiscard]] std::string refusal_json(std::string_view sentence);

/// The text form of that answer to `status`, for people. None where it is no such answer.
[[nodiscard]] std::string status_text(std::string_view answer);

/// The sentence of an answer that says no; empty where it says yes.
[[nodiscard]] std::string answer_error(std::string_view answer);

}  // namespace lp::gateway::app
