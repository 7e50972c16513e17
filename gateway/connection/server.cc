#include "gateway/connection/server.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <system_error>

#include "gateway/config/log.h"
#include "gateway/connection/admission.h"
#include "gateway/connection/connection.h"
#include "gateway/connection/hello_cache.h"
#include "gateway/connection/listener.h"
#include "gateway/connection/listening_sockets.h"
#include "gateway/connection/worker.h"

namespace lp::gateway::connection {
namespace {

/// How often the ClientHello cache is looked through while no ClientHello comes.
constexpr std::chrono::seconds housekeeping_interval{10};
/// How long to wait for connections that should have ended, before their threads are stopped.
constexpr std::chrono::seconds stop_margin{1};

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, const ReloadableSettings& settings,
             const crypto::X25519KeyPair& static_keys, registration::Registrar& registrar,
             storage::Storage& storage, const WallClock& clock, metrics::Metrics& metrics,
             std::vector<ListeningSocket> sockets);
  ~ServerImpl() override { shut_down(std::chrono::milliseconds(0)); }

  /// Throws std::system_error where there is no thread to be had.
  void start();

  [[nodiscard]] std::string address() const override { return messages::to_string(address_); }
  [[nodiscard]] std::uint16_t port() const override { return address_.port; }
  void reload(const ReloadableSettings& settings) override;
  [[nodiscard]] std::size_t active_connections() const override { return admission_.active(); }
  void shut_down(std::chrono::milliseconds grace) override;

 private:
  [[nodiscard]] std::shared_ptr<const ReloadableSettings> current_settings() const;
  void deliver(Accepted accepted);
  void connection_closed();
  void keep_house();
  [[nodiscard]] Worker& accepting() noexcept { return *workers_.front(); }

  messages::SocketAddress address_;
  mutable std::mutex settings_mutex_;
  std::shared_ptr<const ReloadableSettings> settings_;
  Admission admission_;
  HelloCache hellos_;
  Services services_;

  std::atomic<bool> stopping_{false};
  std::mutex stop_mutex_;  // held by shut_down
  bool stopped_ = false;
  std::mutex ended_mutex_;
  std::condition_variable ended_;

  std::vector<std::unique_ptr<Worker>> workers_;  // the first one accepts
  Listener listener_;
  Timer housekeeping_;
};

std::vector<std::unique_ptr<Worker>> make_workers(unsigned count) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < std::max(count, 1u); ++i)
    workers.push_back(std::make_unique<Worker>());
  return workers;
}

ServerImpl::ServerImpl(const ServerOptions& options, const ReloadableSettings& settings,
                       const crypto::X25519KeyPair& static_keys, registration::Registrar& registrar,
                       storage::Storage& storage, const WallClock& clock, metrics::Metrics& metrics,
                       std::vector<ListeningSocket> sockets)
    : address_(sockets.front().address),
      settings_(std::make_shared<const ReloadableSettings>(settings)),
      hellos_(options.client_hello_cache_entries),
      services_{static_keys,
                registrar,
                storage,
                clock,
                metrics,
                hellos_,
                options.record_sessions,
                [this] { connection_closed(); }},
      workers_(make_workers(options.threads)),
      listener_(
          *workers_.front(), std::move(sockets), admission_, [this] { return current_settings(); },
          [this](Accepted accepted) { deliver(std::move(accepted)); }, metrics),
      housekeeping_(workers_.front()->context) {}

void ServerImpl::start() {
  listener_.start();
  keep_house();
  for (unsigned i = 0; i < workers_.size(); ++i)
    workers_[i]->start(i);
}

void ServerImpl::reload(const ReloadableSettings& settings) {
  auto next = std::make_shared<const ReloadableSettings>(settings);
  const std::lock_guard lock(settings_mutex_);
  settings_.swap(next);
}

std::shared_ptr<const ReloadableSettings> ServerImpl::current_settings() const {
  const std::lock_guard lock(settings_mutex_);
  return settings_;
}

/// To the thread with the fewest connections; among equals to the accepting one, so that an idle
/// gateway takes no detour between threads.
void ServerImpl::deliver(Accepted accepted) {
  Worker* const worker = std::ranges::min_element(workers_, {}, [](const auto& candidate) {
                           return candidate->assigned.load(std::memory_order_relaxed);
                         })->get();
  worker->assigned.fetch_add(1, std::memory_order_relaxed);
  if (worker == &accepting()) {
    Connection::start(*worker, services_, std::move(accepted));
  } else {
    asio::post(worker->context, [worker, this, accepted = std::move(accepted)]() mutable {
      Connection::start(*worker, services_, std::move(accepted));
    });
  }
}

void ServerImpl::connection_closed() {
  listener_.descriptor_freed();
  if (!stopping_) return;
  const std::lock_guard lock(ended_mutex_);
  ended_.notify_all();
}

void ServerImpl::keep_house() {
  housekeeping_.expires_after(housekeeping_interval);
  housekeeping_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    const auto tolerance = current_settings()->timestamp_tolerance_secs;
    services_.metrics.set_hello_cache_entries(hellos_.expire(services_.clock.now(), tolerance));
    keep_house();
  });
}

void ServerImpl::shut_down(std::chrono::milliseconds grace) {
  const std::lock_guard lock(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  stopping_ = true;

  // A quarter of the time is kept for writing the last answers.
  const MonotonicTime now = std::chrono::steady_clock::now();
  const Closing closing{.began = now, .answer_by = now + grace * 3 / 4, .end_by = now + grace};
  asio::post(accepting().context, [this] {
    listener_.stop();
    housekeeping_.cancel();
  });
  for (const auto& worker : workers_) {
    asio::post(worker->context, [&worker = *worker, closing] {
      worker.closing = closing;
      worker.deadlines.for_each([](Deadline& deadline) { Connection::cut_short(deadline); });
    });
  }
  {
    std::unique_lock ended(ended_mutex_);
    const bool in_time = ended_.wait_until(ended, closing.end_by + stop_margin,
                                           [this] { return admission_.active() == 0; });
    if (!in_time) {
      log::error("connections did not end in time", {{"connections", admission_.active()}});
      for (const auto& worker : workers_)
        worker->context.stop();
    }
  }
  for (const auto& worker : workers_)
    worker->join();
}

}  // namespace

std::expected<std::unique_ptr<Server>, ServerError> start_server(
    const ServerOptions& options, const ReloadableSettings& settings,
    const crypto::X25519KeyPair& static_keys, registration::Registrar& registrar,
    storage::Storage& storage, const WallClock& clock, metrics::Metrics& metrics) {
  auto sockets = listen_on(options.bind_addresses, options.port);
  if (!sockets) return std::unexpected(std::move(sockets.error()));
  try {
    auto server = std::make_unique<ServerImpl>(options, settings, static_keys, registrar, storage,
                                               clock, metrics, std::move(*sockets));
    server->start();
    return server;
  } catch (const std::system_error& error) {
    return std::unexpected(ServerError{"cannot start the LP listener: " + std::string(error.what()),
                                       error.code().value()});
  }
}

}  // namespace lp::gateway::connection
