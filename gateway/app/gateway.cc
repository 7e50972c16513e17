#include "gateway/app/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/app/data_dir.h"
#include "gateway/app/key_file.h"
#include "gateway/app/keys.h"
#include "gateway/app/open_files.h"
#include "gateway/app/parts.h"
#include "gateway/app/peer_requests.h"
#include "gateway/app/status.h"
#include "gateway/config/layers.h"
#include "gateway/config/log.h"
#include "gateway/connection/server.h"
#include "gateway/control/control_socket.h"
#include "gateway/ecash/ecash_manager.h"
#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/wireguard/leases.h"
#include "gateway/wireguard/reconciler.h"
#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/messages/registration.h"

namespace lp::gateway::app {
namespace {

using Started = std::expected<void, Refusal>;

/// Registrations whose client has gone still end in WireGuard and the database.
constexpr std::chrono::milliseconds last_registrations{1'000};
constexpr std::chrono::milliseconds last_compensations{250};

metrics::WireguardOperation to_metric(wireguard::Operation operation) {
  switch (operation) {
    case wireguard::Operation::add:
      return metrics::WireguardOperation::add;
    case wireguard::Operation::remove:
      return metrics::WireguardOperation::remove;
    case wireguard::Operation::list:
      break;
  }
  return metrics::WireguardOperation::list;
}

metrics::WireguardResult to_metric(wireguard::OperationResult result) {
  switch (result) {
    case wireguard::OperationResult::success:
      return metrics::WireguardResult::success;
    case wireguard::OperationResult::unavailable:
      return metrics::WireguardResult::unavailable;
    case wireguard::OperationResult::timeout:
      return metrics::WireguardResult::timeout;
    case wireguard::OperationResult::refused:
      break;
  }
  return metrics::WireguardResult::refused;
}

metrics::MeteringResult to_metric(wireguard::Metered::Result result) {
  switch (result) {
    case wireguard::Metered::Result::success:
      return metrics::MeteringResult::success;
    case wireguard::Metered::Result::wireguard_failed:
      return metrics::MeteringResult::wireguard_failed;
    case wireguard::Metered::Result::storage_failed:
      break;
  }
  return metrics::MeteringResult::storage_failed;
}

unsigned thread_count(const Settings& settings) {
  return settings.threads != 0 ? settings.threads
                               : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

// In the order in which they start; members below refer to those above them.
struct Gateway::Impl {
  explicit Impl(const Settings& from) : settings(from) {}
  ~Impl() { shut_down(std::chrono::milliseconds(0)); }

  Started start(const Overrides& overrides);
  void shut_down(std::chrono::milliseconds grace);
  void wait_for_registrations(std::chrono::milliseconds limit) const;

  Started read_keys();
  Started start_parts(const Overrides& overrides);
  Started start_verifier(const Overrides& overrides);
  Started start_reconciler();
  void count(const wireguard::Pass& pass);
  void log_storage_health();
  Started start_server();
  Started start_http();
  Started start_control();
  void answer(const std::vector<std::string>& words, control::Reply reply);
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] std::vector<std::string> warnings() const;
  [[nodiscard]] Status status() const;

  const Settings settings;  // at start
  const std::chrono::steady_clock::time_point started_at = std::chrono::steady_clock::now();
  mutable std::mutex reloadable_mutex;
  ReloadableSettings reloaded = reloadable(settings);

  ProcessLock lock;
  ProcessLock database_lock;
  crypto::Identity identity;
  crypto::X25519KeyPair lp_keys;
  crypto::X25519Public wireguard_public_key;

  std::unique_ptr<WallClock> clock;
  metrics::Metrics metrics;
  wireguard::Leases leases;
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<ecash::Verifier> verifier;
  ecash::EcashManager* ecash_manager = nullptr;  // the verifier, where it is one
  std::unique_ptr<wireguard::Controller> wireguard;
  std::unique_ptr<registration::Registrar> registrar;
  std::unique_ptr<wireguard::Reconciler> reconciler;
  std::unique_ptr<connection::Server> server;
  std::unique_ptr<http::HttpServer> http;
  std::unique_ptr<control::ControlSocket> control;
  bool storage_was_healthy = true;  // with the reconciler's last pass; its thread's
  bool is_shut_down = false;
  std::atomic<bool> is_stopping = false;
};

Started Gateway::Impl::start(const Overrides& overrides) {
  if (!crypto::initialise()) return refuse(ExitCode::internal, "no randomness: libsodium fails");
  if (auto checked = check_settings(settings); !checked) return checked;
  auto taken = ProcessLock::take_data_dir(settings.data_dir);
  if (!taken) return std::unexpected(taken.error());
  lock = std::move(*taken);
  if (auto raised = raise_open_files(settings.max_connections, settings.threads); !raised) {
    return raised;
  }
  if (auto read = read_keys(); !read) return read;
  if (auto parts = start_parts(overrides); !parts) return parts;
  if (auto started = start_reconciler(); !started) return started;
  if (auto started = start_server(); !started) return started;
  if (auto started = start_http(); !started) return started;
  return start_control();
}

Started Gateway::Impl::read_keys() {
  auto seed = read_key_file(identity_key_file(settings), "identity key");
  if (!seed) return std::unexpected(seed.error());
  const auto pair = crypto::IdentityKeyPair::from_seed(std::move(*seed));
  identity = pair.identity;
  lp_keys = pair.to_x25519();
  auto wireguard_key = read_key_file(wireguard_key_file(settings), "WireGuard key");
  if (!wireguard_key) return std::unexpected(wireguard_key.error());
  // The WireGuard device holds the secret; the gateway announces the public half.
  wireguard_public_key = crypto::X25519KeyPair::from_secret(std::move(*wireguard_key)).public_key;
  return {};
}

Started Gateway::Impl::start_parts(const Overrides& overrides) {
  clock = overrides.make_clock ? overrides.make_clock() : std::make_unique<SystemWallClock>();
  if (!on_postgres(settings)) {  // which has a lock of its own on the instance's name
    auto taken = ProcessLock::take_database(database_file(settings));
    if (!taken) return std::unexpected(taken.error());
    database_lock = std::move(*taken);
  }
  auto opened = open_storage(settings, wireguard_public_key, overrides.commit_each_registration);
  if (!opened) return std::unexpected(opened.error());
  storage = std::move(*opened);
  if (on_postgres(settings)) {
    log::info(fmt::format("instance {} on {}", settings.instance, database_name(settings)));
  }

  if (auto started = start_verifier(overrides); !started) return started;

  std::expected<std::unique_ptr<wireguard::Backend>, Refusal> backend =
      overrides.make_backend ? overrides.make_backend(settings) : make_backend(settings);
  if (!backend) return std::unexpected(backend.error());
  wireguard = wireguard::make_controller(
      std::move(*backend),
      {.observe = [this](wireguard::Operation operation, wireguard::OperationResult result) {
        metrics.wireguard_operation(to_metric(operation), to_metric(result));
      }});

  registration::RegistrarOptions options{.wireguard_public_key = wireguard_public_key,
                                         .announced_address = std::nullopt,
                                         .announced_port = settings.wireguard_announced_port};
  if (!settings.wireguard_announced_address.empty()) {
    options.announced_address =
        messages::ip_address_from_string(settings.wireguard_announced_address);
  }
  registrar = registration::make_registrar(std::move(options), *verifier, *storage, *wireguard,
                                           leases, *clock, metrics);
  return {};
}

Started Gateway::Impl::start_verifier(const Overrides& overrides) {
  if (overrides.make_verifier) {
    verifier = overrides.make_verifier(settings);
  } else if (settings.use_mock_ecash) {
    verifier = ecash::make_mock_verifier();
  } else {
    auto started = start_ecash(settings, identity, *clock, metrics);
    if (!started) return std::unexpected(std::move(started.error()));
    ecash_manager = started->get();
    verifier = std::move(*started);
  }
  metrics.set_mock_ecash(verifier->is_mock());
  return {};
}

Started Gateway::Impl::start_reconciler() {
  reconciler = wireguard::start_reconciler(*storage, *wireguard, leases, *clock,
                                           {.own_interface = settings.wireguard_own_interface,
                                            .after_each = [this](const wireguard::Pass& pass) {
                                              registrar->retry_compensations();
                                              count(pass);
                                              log_storage_health();
                                            }});
  return {};
}

void Gateway::Impl::count(const wireguard::Pass& pass) {
  const auto& metered = pass.metered;
  metrics.metered(to_metric(metered.result), static_cast<std::uint64_t>(metered.bytes),
                  metered.spent, metered.resets, clock->now());
  if (pass.full) metrics.wireguard_compared(pass.comparison.completed, pass.comparison.added);
  metrics.wireguard_removed(pass.comparison.removed);
  if (metered.spent > 0) {
    log::info("peers leave for want of bandwidth", {{"peers", metered.spent}});
  }
}

/// Whoever reads the log in the morning finds the hour.
void Gateway::Impl::log_storage_health() {
  const auto stats = storage->stats();
  if (stats.healthy == storage_was_healthy) return;
  storage_was_healthy = stats.healthy;
  if (stats.healthy) {
    log::info("the database works again");
  } else {
    log::warning("the database does not work", {{"error", stats.unhealthy_reason}});
  }
}

Started Gateway::Impl::start_server() {
  const connection::ServerOptions options{
      .bind_addresses = settings.bind_address,
      .port = settings.control_port,
      .threads = thread_count(settings),
      .client_hello_cache_entries = settings.client_hello_cache_entries,
      .record_sessions = settings.record_sessions};
  auto started =
      connection::start_server(options, reloaded, lp_keys, *registrar, *storage, *clock, metrics);
  if (started) {
    server = std::move(*started);
    return {};
  }
  const int error = started.error().error_number;
  return refuse(error == EACCES || error == EPERM ? ExitCode::no_permission : ExitCode::unavailable,
                "cannot accept LP connections: " + started.error().detail);
}

Started Gateway::Impl::start_http() {
  auto started = http::start_http_server(
      {.address = settings.http_address,
       .port = settings.http_port,
       .metrics_allow = settings.metrics_allow,
       .info = {.identity = identity.to_base58(),
                .lp_public_key = to_base58(lp_keys.public_key.bytes),
                .lp_port = server->port(),
                .mock_ecash = verifier->is_mock(),
                .version = LP_VERSION},
       .warnings = [this] { return warnings(); }},
      metrics, [this] { return not_ready(); },
      [this] {
        const auto stats = storage->stats();
        metrics.set_storage(stats.healthy, stats.transactions, stats.failed_transactions,
                            stats.statements, stats.queue_length);
        const auto comparison = reconciler->last();
        metrics.set_wireguard(wireguard->healthy(), wireguard->peer_count(),
                              comparison.pending_removals, comparison.unknown);
        verifier->update_metrics();
      });
  if (!started) {
    // The reason ends with the system's text; a port below 1024 is the usual one.
    const bool denied = started.error().ends_with(std::generic_category().message(EACCES));
    return refuse(denied ? ExitCode::no_permission : ExitCode::unavailable,
                  "cannot serve HTTP: " + started.error());
  }
  http = std::move(*started);
  return {};
}

Started Gateway::Impl::start_control() {
  auto started = control::serve(control_socket(settings.data_dir),
                                [this](const std::vector<std::string>& words,
                                       control::Reply reply) { answer(words, std::move(reply)); });
  if (!started) return refuse(ExitCode::unavailable, started.error());
  control = std::move(*started);
  return {};
}

void Gateway::Impl::answer(const std::vector<std::string>& words, control::Reply reply) {
  const std::string_view about = words.empty() ? std::string_view() : words.front();
  if (about == "peers") {
    return answer_peers(words,
                        {.storage = *storage,
                         .wireguard = *wireguard,
                         .leases = leases,
                         .try_again = [this] { reconciler->trigger(); }},
                        std::move(reply));
  }
  reply(about == "keys" ? answer_keys(words, ecash_manager) : answer_request(words, status()));
}

std::vector<std::string> Gateway::Impl::not_ready() const {
  std::vector<std::string> reasons;
  if (is_stopping.load()) reasons.emplace_back("gateway: shutting down");
  const auto stats = storage->stats();
  if (!stats.healthy) reasons.push_back("storage: " + stats.unhealthy_reason);
  if (!wireguard->healthy()) reasons.emplace_back("wireguard: the backend does not answer");
  if (auto reason = verifier->not_ready_reason(); !reason.empty()) {
    reasons.push_back("ecash: " + std::move(reason));
  }
  return reasons;
}

std::vector<std::string> Gateway::Impl::warnings() const {
  auto warnings = verifier->warnings();
  for (auto& warning : warnings)
    warning.insert(0, "ecash: ");
  return warnings;
}

Status Gateway::Impl::status() const {
  const std::lock_guard guard(reloadable_mutex);
  return {.version = LP_VERSION,
          .uptime = std::chrono::steady_clock::now() - started_at,
          .identity = identity.to_base58(),
          .lp_public_key = to_base58(lp_keys.public_key.bytes),
          .wireguard_public_key = to_base64(wireguard_public_key.bytes),
          .data_dir = settings.data_dir.string(),
          .lp_address = server->address(),
          .http_address = http->address(),
          .mock_ecash = verifier->is_mock(),
          .active_connections = server->active_connections(),
          .registrations_in_flight = registrar->in_flight(),
          .database = database_name(settings),
          .instance = settings.instance,
          .storage = storage->stats(),
          .wireguard_healthy = wireguard->healthy(),
          .wireguard_peers = wireguard->peer_count(),
          .comparison = reconciler->last(),
          .limits = reloaded,
          .not_ready = not_ready(),
          .warnings = warnings()};
}

void Gateway::Impl::shut_down(std::chrono::milliseconds grace) {
  if (std::exchange(is_shut_down, true)) return;
  is_stopping.store(true);
  if (control) control->shut_down();
  if (server) server->shut_down(grace);
  if (http) http->shut_down();
  wait_for_registrations(last_registrations);
  // Whoever waits for a verification refers to the registrar.
  if (verifier) verifier->shut_down();
  if (reconciler) reconciler->shut_down();
  // A WireGuard that hangs holds its thread, and this one, until the process is ended: the storage
  // is closed before it where no registration needs it any more.
  if (storage && registrar && registrar->in_flight() == 0) storage->shut_down();
  // Answers what still waits for WireGuard with a failure; that is undone in the storage.
  if (wireguard) wireguard->shut_down();
  wait_for_registrations(last_compensations);
  if (storage) storage->shut_down();
}

void Gateway::Impl::wait_for_registrations(std::chrono::milliseconds limit) const {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (registrar && registrar->in_flight() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::expected<void, Refusal> check_settings(const Settings& settings) {
  if (auto checked = config::check_combination(settings); !checked) return checked;
  if (auto checked = check_parts(settings); !checked) return checked;
  return check_open_files(settings.max_connections, settings.threads);
}

std::expected<std::unique_ptr<Gateway>, Refusal> Gateway::start(const Settings& settings,
                                                                const Overrides& overrides) {
  auto impl = std::make_unique<Impl>(settings);
  if (auto started = impl->start(overrides); !started) return std::unexpected(started.error());
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

std::string Gateway::lp_address() const {
  return impl_->server->address();
}
std::string Gateway::http_address() const {
  return impl_->http->address();
}
std::string Gateway::identity() const {
  return impl_->identity.to_base58();
}

std::expected<void, Refusal> Gateway::reload(const Settings& settings) {
  auto raised = raise_open_files(settings.max_connections, impl_->settings.threads);
  if (!raised) return raised;
  const ReloadableSettings next = reloadable(settings);
  impl_->server->reload(next);
  impl_->http->set_metrics_allow(next.metrics_allow);
  impl_->verifier->refresh();
  const std::lock_guard guard(impl_->reloadable_mutex);
  impl_->reloaded = next;
  return {};
}

void Gateway::shut_down(std::chrono::milliseconds grace) {
  impl_->shut_down(grace);
}

}  // namespace lp::gateway::app
