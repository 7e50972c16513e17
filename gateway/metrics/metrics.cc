#include "gateway/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "gateway/metrics/process.h"
#include "lib/wire/format.h"

namespace lp::gateway::metrics {
namespace {

using messages::RegistrationFailure;
using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;

using Buckets = Histogram::BucketBoundaries;

Buckets connection_buckets() {
  return {0.01, 0.1, 1, 5, 10, 30};
}
/// A handshake on loopback takes less than a millisecond, one around the world half a second.
Buckets fine_buckets() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
}

Counter& counter(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

Gauge& gauge(Registry& registry, const char* name, const char* help, const Labels& labels = {}) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

Histogram& histogram(Registry& registry, const char* name, const char* help,
                     const Buckets& buckets) {
  return BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

/// One counter for each value of the family's one label, all there from the start.
template <std::size_t N>
std::array<Counter*, N> counters(Registry& registry, const char* name, const char* help,
                                 const char* label, const std::array<std::string_view, N>& values) {
  auto& family = BuildCounter().Name(name).Help(help).Register(registry);
  std::array<Counter*, N> result{};
  for (std::size_t i = 0; i < N; ++i)
    result[i] = &family.Add({{label, std::string(values[i])}});
  return result;
}

template <std::size_t N>
std::array<Gauge*, N> gauges(Registry& registry, const char* name, const char* help,
                             const char* label, const std::array<std::string_view, N>& values) {
  auto& family = BuildGauge().Name(name).Help(help).Register(registry);
  std::array<Gauge*, N> result{};
  for (std::size_t i = 0; i < N; ++i)
    result[i] = &family.Add({{label, std::string(values[i])}});
  return result;
}

template <std::size_t N>
std::array<Histogram*, N> histograms(Registry& registry, const char* name, const char* help,
                                     const char* label,
                                     const std::array<std::string_view, N>& values,
                                     const Buckets& buckets) {
  auto& family = BuildHistogram().Name(name).Help(help).Register(registry);
  std::array<Histogram*, N> result{};
  for (std::size_t i = 0; i < N; ++i) {
    result[i] = &family.Add({{label, std::string(values[i])}}, buckets);
  }
  return result;
}

constexpr auto registration_labels = [] {
  std::array<std::string_view, messages::registration_failure_count> labels;
  for (std::size_t i = 0; i < labels.size(); ++i)
    labels[i] = messages::registration_errors[i].label;
  return labels;
}();

constexpr std::size_t credential_other = credential_failures.size();
constexpr auto credential_labels = [] {
  std::array<std::string_view, credential_failures.size() + 1> labels;
  for (std::size_t i = 0; i < credential_failures.size(); ++i) {
    labels[i] = messages::label(credential_failures[i]);
  }
  labels[credential_other] = "other";
  return labels;
}();
/// Index into credential_labels for each RegistrationFailure.
constexpr auto credential_index = [] {
  std::array<std::size_t, messages::registration_failure_count> index;
  index.fill(credential_other);
  for (std::size_t i = 0; i < credential_failures.size(); ++i) {
    index[static_cast<std::size_t>(credential_failures[i])] = i;
  }
  return index;
}();

using OperationCounters = std::array<std::array<Counter*, wireguard_result_labels.size()>,
                                     wireguard_operation_labels.size()>;

OperationCounters operation_counters(Registry& registry) {
  auto& family = BuildCounter()
                     .Name("lp_wireguard_operations_total")
                     .Help("Calls of the WireGuard backend that were answered")
                     .Register(registry);
  OperationCounters result{};
  for (std::size_t i = 0; i < result.size(); ++i) {
    for (std::size_t j = 0; j < result[i].size(); ++j) {
      result[i][j] = &family.Add({{"operation", std::string(wireguard_operation_labels[i])},
                                  {"result", std::string(wireguard_result_labels[j])}});
    }
  }
  return result;
}

constexpr std::array<std::string_view, 3> key_state_labels{"trusted", "revoked", "offered"};
constexpr std::array<std::string_view, 2> result_labels{"success", "error"};
constexpr std::array<std::string_view, 2> mode_labels{"dvpn", "mixnet"};
constexpr std::array<std::string_view, 2> transaction_labels{"committed", "failed"};

template <typename Enum>
constexpr std::size_t index_of(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

/// Brings a counter up to a total that is counted elsewhere. A total never goes back.
void raise_to(Counter& counter, double total) {
  counter.Increment(std::max(0.0, total - counter.Value()));
}

/// What tells the metrics of one family apart.
std::vector<std::string> label_values(const prometheus::ClientMetric& metric) {
  std::vector<std::string> values;
  values.reserve(metric.label.size());
  for (const auto& label : metric.label)
    values.push_back(label.value);
  return values;
}

}  // namespace

struct Metrics::Impl {
  Registry registry;

  // connections
  std::array<Counter*, 2> connections =
      counters(registry, "lp_connections_total",
               "Connections that have ended: success is a client that was answered, "
               "whatever the answer says",
               "result", result_labels);
  Gauge& active_gauge = gauge(registry, "lp_active_lp_connections", "Connections open now");
  Histogram& connection_seconds = histogram(registry, "lp_connection_duration_seconds",
                                            "From accept to close", connection_buckets());
  Counter& completed_gracefully = counter(registry, "lp_connections_completed_gracefully",
                                          "Connections whose client was answered");
  Counter& completed_with_error = counter(registry, "lp_connections_completed_with_error",
                                          "Connections that ended before the client was answered");
  std::array<Counter*, reject_reason_labels.size()> rejected = counters(
      registry, "lp_connections_rejected_total",
      "Connections that were answered Busy; counted nowhere else", "reason", reject_reason_labels);
  Counter& received =
      counter(registry, "lp_connection_bytes_received_total", "Bytes read from LP connections");
  Counter& sent =
      counter(registry, "lp_connection_bytes_sent_total", "Bytes written to LP connections");

  // ClientHello and handshake
  std::array<Counter*, hello_failure_labels.size()> hello_failed =
      counters(registry, "lp_client_hello_failed", "Connections that ended at ClientHello",
               "reason", hello_failure_labels);
  Gauge& hello_cache_entries = gauge(registry, "lp_client_hello_cache_entries",
                                     "ClientHellos remembered to refuse their replays");
  Counter& hello_cache_evicted =
      counter(registry, "lp_client_hello_cache_evicted_total",
              "ClientHellos forgotten before their time because the cache was full");
  Counter& handshakes_success =
      counter(registry, "lp_handshakes_success", "Handshakes that were completed");
  std::array<Counter*, handshake_failure_labels.size()> handshakes_failed =
      counters(registry, "lp_handshakes_failed", "Handshakes that were not completed", "reason",
               handshake_failure_labels);
  Histogram& handshake_seconds =
      histogram(registry, "lp_handshake_duration_seconds",
                "From ClientHello to the handshake's end, completed or not", fine_buckets());

  // registrations
  Counter& attempts = counter(registry, "lp_registration_attempts_total",
                              "Registration requests that were decrypted");
  std::array<Counter*, 2> registrations =
      counters(registry, "lp_registration_success_total", "Registrations that succeeded, by mode",
               "mode", mode_labels);
  std::array<Counter*, registration_labels.size()> registrations_failed =
      counters(registry, "lp_registration_failed_total", "Registrations that were refused",
               "reason", registration_labels);
  Histogram& registration_seconds =
      histogram(registry, "lp_registration_duration_seconds",
                "From the decrypted request to its outcome", fine_buckets());
  std::array<Histogram*, step_labels.size()> step_seconds =
      histograms(registry, "lp_registration_step_duration_seconds",
                 "What the steps of a registration take", "step", step_labels, fine_buckets());
  Counter& dvpn_success =
      counter(registry, "lp_registration_dvpn_success", "dVPN registrations that succeeded");
  Counter& mixnet_success =
      counter(registry, "lp_registration_mixnet_success", "Mixnet registrations that succeeded");
  Counter& credentials_verified =
      counter(registry, "lp_credential_verification_success", "Credentials that were verified");
  std::array<Counter*, credential_labels.size()> credentials_failed =
      counters(registry, "lp_credential_verification_failed", "Credentials that were refused",
               "reason", credential_labels);
  Counter& bandwidth = counter(registry, "lp_bandwidth_allocated_bytes_total",
                               "Bandwidth credited and ready for use, in bytes");

  // verification keys
  std::array<Counter*, key_refresh_labels.size()> key_refreshes =
      counters(registry, "lp_ecash_key_refreshes_total", "Answers of the chain about keys",
               "result", key_refresh_labels);
  std::array<Gauge*, 3> keys =
      gauges(registry, "lp_ecash_keys", "Verification keys known", "state", key_state_labels);
  Gauge& keys_confirmed = gauge(registry, "lp_ecash_keys_confirmed_timestamp_seconds",
                                "Unix time at which the chain last gave keys; 0: never");
  Gauge& ecash_queue = gauge(registry, "lp_ecash_queue_length", "Tickets that wait to be verified");
  Histogram& batch_size =
      histogram(registry, "lp_ecash_batch_size", "Tickets that were verified together",
                {1, 2, 4, 8, 16, 32, 64, 128});
  Counter& batches_split = counter(registry, "lp_ecash_batches_split_total",
                                   "Batches with a false signature, verified again one by one");

  // what the gateway stands on
  Counter& accept_pauses = counter(registry, "lp_accept_pauses_total",
                                   "Pauses of accepting for want of file descriptors");
  Gauge& mock_ecash =
      gauge(registry, "lp_mock_ecash", "1 where credentials are taken without verification");
  Gauge& wireguard_up = gauge(registry, "lp_wireguard_up", "1 while the WireGuard backend answers");
  Gauge& wireguard_peers = gauge(registry, "lp_wireguard_peers", "Peers in WireGuard");
  Gauge& wireguard_removals =
      gauge(registry, "lp_wireguard_pending_removals", "Peers that must still leave WireGuard");
  Gauge& wireguard_unknown =
      gauge(registry, "lp_wireguard_unknown_peers",
            "Peers in WireGuard that the database does not know, left alone");
  OperationCounters wireguard_operations = operation_counters(registry);
  std::array<Counter*, 2> wireguard_comparisons =
      counters(registry, "lp_wireguard_comparisons_total", "Comparisons of database and WireGuard",
               "result", result_labels);
  Counter& wireguard_restored =
      counter(registry, "lp_wireguard_restored_peers_total",
              "Peers that a comparison had to add, or to give their addresses or settings");
  Counter& wireguard_removed =
      counter(registry, "lp_wireguard_removed_peers_total",
              "Peers taken out of WireGuard: noted removals that were carried out, and unknown "
              "peers of an own interface");

  // metering
  std::array<Counter*, metering_result_labels.size()> metering_polls =
      counters(registry, "lp_metering_polls_total", "Polls of WireGuard's transfer counters",
               "result", metering_result_labels);
  Counter& bandwidth_used = counter(registry, "lp_bandwidth_used_bytes_total",
                                    "Bytes debited for traffic through the tunnels");
  Counter& bandwidth_spent =
      counter(registry, "lp_bandwidth_spent_peers_total", "Peers whose bandwidth was used up");
  Counter& metering_resets =
      counter(registry, "lp_metering_counter_resets_total",
              "Peers whose transfer counters were found to have begun again");
  Gauge& metering_success = gauge(registry, "lp_metering_last_success_timestamp_seconds",
                                  "Unix time of the latest poll that was debited; 0: none yet");
  Gauge& storage_up = gauge(registry, "lp_storage_up", "1 while the database can be written");
  std::array<Counter*, 2> storage_transactions =
      counters(registry, "lp_storage_transactions_total", "Database transactions", "result",
               transaction_labels);
  Counter& storage_statements = counter(registry, "lp_storage_statements_total",
                                        "Database statements besides BEGIN and COMMIT");
  Gauge& storage_queue =
      gauge(registry, "lp_storage_queue_length", "Calls that wait for the database's writer");

  // the process
  Counter& cpu_seconds =
      counter(registry, "process_cpu_seconds_total", "User and system time spent");
  Gauge& resident_bytes =
      gauge(registry, "process_resident_memory_bytes", "Resident memory, in bytes");
  Gauge& open_fds = gauge(registry, "process_open_fds", "Open file descriptors");
  Gauge& max_fds = gauge(registry, "process_max_fds", "Soft limit of open file descriptors");

  std::atomic<std::int64_t> active{0};
  Process process;           // under the mutex
  std::mutex refresh_mutex;  // held while totals counted elsewhere are carried over

  Impl() {
    gauge(registry, "lp_build_info", "1; the labels tell the build",
          {{"version", LP_VERSION}, {"protocol_version", std::to_string(wire::protocol_version)}})
        .Set(1);
    gauge(registry, "process_start_time_seconds", "Unix time at which the process started")
        .Set(process_start_time());
  }

  void refresh_process() {
    const std::lock_guard lock(refresh_mutex);
    const ProcessUsage usage = process.usage();
    raise_to(cpu_seconds, usage.cpu_seconds);
    resident_bytes.Set(static_cast<double>(usage.resident_bytes));
    open_fds.Set(static_cast<double>(usage.open_fds));
    max_fds.Set(static_cast<double>(usage.max_fds));
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::connection_opened() {
  impl_->active.fetch_add(1, std::memory_order_relaxed);
}

void Metrics::connection_closed(bool success, double seconds) {
  impl_->connections[success ? 0 : 1]->Increment();
  (success ? impl_->completed_gracefully : impl_->completed_with_error).Increment();
  impl_->connection_seconds.Observe(seconds);
  // Last, and seen by `text` only together with the above.
  impl_->active.fetch_sub(1, std::memory_order_release);
}

void Metrics::connection_rejected(RejectReason reason) {
  impl_->rejected[index_of(reason)]->Increment();
}

void Metrics::bytes_received(std::uint64_t count) {
  impl_->received.Increment(static_cast<double>(count));
}

void Metrics::bytes_sent(std::uint64_t count) {
  impl_->sent.Increment(static_cast<double>(count));
}

void Metrics::client_hello_failed(HelloFailure reason) {
  impl_->hello_failed[index_of(reason)]->Increment();
}

void Metrics::handshake_succeeded(double seconds) {
  impl_->handshakes_success.Increment();
  impl_->handshake_seconds.Observe(seconds);
}

void Metrics::handshake_failed(HandshakeFailure reason, double seconds) {
  impl_->handshakes_failed[index_of(reason)]->Increment();
  impl_->handshake_seconds.Observe(seconds);
}

void Metrics::registration_attempted() {
  impl_->attempts.Increment();
}

void Metrics::registration_succeeded(bool mixnet, double seconds) {
  impl_->registrations[mixnet ? 1 : 0]->Increment();
  (mixnet ? impl_->mixnet_success : impl_->dvpn_success).Increment();
  impl_->registration_seconds.Observe(seconds);
}

void Metrics::registration_failed(RegistrationFailure reason, double seconds) {
  impl_->registrations_failed[index_of(reason)]->Increment();
  impl_->registration_seconds.Observe(seconds);
}

void Metrics::step(Step step, double seconds) {
  impl_->step_seconds[index_of(step)]->Observe(seconds);
}

void Metrics::credential_verified() {
  impl_->credentials_verified.Increment();
}

void Metrics::credential_rejected(RegistrationFailure reason) {
  impl_->credentials_failed[credential_index[index_of(reason)]]->Increment();
}

void Metrics::bandwidth_allocated(std::uint64_t bytes) {
  impl_->bandwidth.Increment(static_cast<double>(bytes));
}

void Metrics::keys_refreshed(KeyRefresh result) {
  impl_->key_refreshes[index_of(result)]->Increment();
}

void Metrics::batch_verified(std::size_t tickets, bool split) {
  impl_->batch_size.Observe(static_cast<double>(tickets));
  if (split) impl_->batches_split.Increment();
}

void Metrics::set_keys(std::uint64_t trusted, std::uint64_t revoked, std::uint64_t offered,
                       std::uint64_t confirmed_at, std::uint64_t waiting) {
  impl_->keys[0]->Set(static_cast<double>(trusted));
  impl_->keys[1]->Set(static_cast<double>(revoked));
  impl_->keys[2]->Set(static_cast<double>(offered));
  impl_->keys_confirmed.Set(static_cast<double>(confirmed_at));
  impl_->ecash_queue.Set(static_cast<double>(waiting));
}

void Metrics::hello_cache_evicted() {
  impl_->hello_cache_evicted.Increment();
}

void Metrics::set_hello_cache_entries(std::uint64_t entries) {
  impl_->hello_cache_entries.Set(static_cast<double>(entries));
}

void Metrics::accept_paused() {
  impl_->accept_pauses.Increment();
}

void Metrics::set_mock_ecash(bool mock) {
  impl_->mock_ecash.Set(mock ? 1 : 0);
}

void Metrics::set_wireguard(bool healthy, std::uint64_t peers, std::uint64_t pending_removals,
                            std::uint64_t unknown_peers) {
  impl_->wireguard_up.Set(healthy ? 1 : 0);
  impl_->wireguard_peers.Set(static_cast<double>(peers));
  impl_->wireguard_removals.Set(static_cast<double>(pending_removals));
  impl_->wireguard_unknown.Set(static_cast<double>(unknown_peers));
}

void Metrics::wireguard_operation(WireguardOperation operation, WireguardResult result) {
  impl_->wireguard_operations[index_of(operation)][index_of(result)]->Increment();
}

void Metrics::wireguard_compared(bool completed, std::uint64_t added) {
  impl_->wireguard_comparisons[completed ? 0 : 1]->Increment();
  impl_->wireguard_restored.Increment(static_cast<double>(added));
}

void Metrics::wireguard_removed(std::uint64_t peers) {
  impl_->wireguard_removed.Increment(static_cast<double>(peers));
}

void Metrics::metered(MeteringResult result, std::uint64_t bytes, std::uint64_t spent,
                      std::uint64_t resets, std::uint64_t now) {
  impl_->metering_polls[index_of(result)]->Increment();
  impl_->bandwidth_used.Increment(static_cast<double>(bytes));
  impl_->bandwidth_spent.Increment(static_cast<double>(spent));
  impl_->metering_resets.Increment(static_cast<double>(resets));
  if (result == MeteringResult::success) impl_->metering_success.Set(static_cast<double>(now));
}

void Metrics::set_storage(bool healthy, std::uint64_t transactions,
                          std::uint64_t failed_transactions, std::uint64_t statements,
                          std::uint64_t queue_length) {
  const std::lock_guard lock(impl_->refresh_mutex);
  impl_->storage_up.Set(healthy ? 1 : 0);
  raise_to(*impl_->storage_transactions[0], static_cast<double>(transactions));
  raise_to(*impl_->storage_transactions[1], static_cast<double>(failed_transactions));
  raise_to(impl_->storage_statements, static_cast<double>(statements));
  impl_->storage_queue.Set(static_cast<double>(queue_length));
}

std::uint64_t Metrics::active_connections() const {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, impl_->active.load(std::memory_order_acquire)));
}

std::string Metrics::text() const {
  impl_->refresh_process();
  // Read before anything else is collected: a connection that ends meanwhile is still "active" in
  // this text, so that sums that need not hold yet are not taken for broken ones.
  impl_->active_gauge.Set(static_cast<double>(active_connections()));
  auto families = impl_->registry.Collect();
  // The registry has them in no order; two scrapes are to be compared line by line.
  std::ranges::sort(families, {}, &prometheus::MetricFamily::name);
  for (auto& family : families)
    std::ranges::sort(family.metric, {}, label_values);
  return prometheus::TextSerializer().Serialize(families);
}

Registry& Metrics::registry() {
  return impl_->registry;
}

}  // namespace lp::gateway::metrics
