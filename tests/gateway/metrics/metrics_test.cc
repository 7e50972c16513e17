#include "gateway/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include "tests/gateway/metrics/exposition.h"

namespace lp::gateway::metrics::test {
namespace {

using messages::RegistrationFailure;

std::vector<std::string> exported_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("# HELP")) continue;
    // Families and samples without their values; a label that is a version is one.
    if (const std::size_t version = line.find(",version="); version != std::string::npos) {
      line.resize(version);
    } else if (!line.starts_with('#')) {
      line.resize(line.rfind(' '));
    }
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> golden_lines() {
  std::ifstream file(LP_SOURCE_DIR "/tests/gateway/metrics/exported.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  return lines;
}

TEST(Metrics, NamesLabelsAndBucketsAreTheAgreedOnes) {
  EXPECT_EQ(exported_lines(Metrics().text()), golden_lines());
}

TEST(Metrics, EverythingStartsAtZero) {
  for (const auto& [sample, value] : parse(Metrics().text()).samples) {
    if (sample.starts_with("process_") || sample.starts_with("lp_build_info")) continue;
    EXPECT_EQ(value, 0) << sample;
  }
}

TEST(Metrics, BuildInfoIsOne) {
  EXPECT_EQ(parse(Metrics().text()).sum("lp_build_info"), 1);
}

/// The one sample that an action raises in this family.
template <typename Action>
std::string raised(const std::string& family, Action action) {
  Metrics metrics;
  const Exposition before = parse(metrics.text());
  action(metrics);
  const Exposition after = parse(metrics.text());
  std::string result;
  for (const auto& [sample, value] : after.samples) {
    if (sample.substr(0, sample.find('{')) != family || value == before.at(sample)) continue;
    EXPECT_EQ(result, "") << sample;
    EXPECT_EQ(value, before.at(sample) + 1);
    result = sample;
  }
  return result;
}

template <typename Enum, std::size_t N, typename Count>
void expect_own_label(const std::string& family, const std::string& label,
                      const std::array<std::string_view, N>& labels, Count count) {
  for (std::size_t i = 0; i < N; ++i) {
    std::string sample = family;
    sample.append("{").append(label).append("=\"").append(labels[i]).append("\"}");
    EXPECT_EQ(raised(family, [&](Metrics& metrics) { count(metrics, static_cast<Enum>(i)); }),
              sample);
  }
}

TEST(Metrics, EveryReasonCountsUnderItsOwnLabel) {
  expect_own_label<RejectReason>(
      "lp_connections_rejected_total", "reason", reject_reason_labels,
      [](Metrics& metrics, RejectReason reason) { metrics.connection_rejected(reason); });
  expect_own_label<HelloFailure>(
      "lp_client_hello_failed", "reason", hello_failure_labels,
      [](Metrics& metrics, HelloFailure reason) { metrics.client_hello_failed(reason); });
  expect_own_label<HandshakeFailure>(
      "lp_handshakes_failed", "reason", handshake_failure_labels,
      [](Metrics& metrics, HandshakeFailure reason) { metrics.handshake_failed(reason, 0); });
  expect_own_label<Step>("lp_registration_step_duration_seconds_count", "step", step_labels,
                         [](Metrics& metrics, Step step) { metrics.step(step, 0); });
  expect_own_label<MeteringResult>(
      "lp_metering_polls_total", "result", metering_result_labels,
      [](Metrics& metrics, MeteringResult result) { metrics.metered(result, 0, 0, 0, 0); });
  for (std::size_t i = 0; i < wireguard_operation_labels.size(); ++i) {
    expect_own_label<WireguardResult>(
        "lp_wireguard_operations_total",
        "operation=\"" + std::string(wireguard_operation_labels[i]) + "\",result",
        wireguard_result_labels, [i](Metrics& metrics, WireguardResult result) {
          metrics.wireguard_operation(static_cast<WireguardOperation>(i), result);
        });
  }
  for (const auto& error : messages::registration_errors) {
    EXPECT_EQ(raised("lp_registration_failed_total",
                     [&](Metrics& metrics) { metrics.registration_failed(error.failure, 0); }),
              "lp_registration_failed_total{reason=\"" + std::string(error.label) + "\"}");
  }
}

TEST(Metrics, CredentialFailureThatIsNoneIsOther) {
  for (const auto& error : messages::registration_errors) {
    const bool listed = std::ranges::count(credential_failures, error.failure) == 1;
    const std::string label(listed ? error.label : "other");
    EXPECT_EQ(raised("lp_credential_verification_failed",
                     [&](Metrics& metrics) { metrics.credential_rejected(error.failure); }),
              "lp_credential_verification_failed{reason=\"" + label + "\"}");
  }
}

TEST(Metrics, EveryErrorOfTheLibraryHasAReason) {
  for (int i = 0; i <= static_cast<int>(Error::randomness_unavailable); ++i) {
    const auto error = static_cast<Error>(i);
    EXPECT_LT(static_cast<std::size_t>(hello_failure(error)), hello_failure_labels.size());
    EXPECT_LT(static_cast<std::size_t>(handshake_failure(error)), handshake_failure_labels.size());
  }
}

TEST(Metrics, WhatAPacketCanGetWrongIsToldApart) {
  EXPECT_EQ(hello_failure(Error::frame_oversize), HelloFailure::oversize);
  EXPECT_EQ(hello_failure(Error::packet_too_short), HelloFailure::too_short);
  EXPECT_EQ(hello_failure(Error::version_unsupported), HelloFailure::version);
  EXPECT_EQ(hello_failure(Error::message_type_unknown), HelloFailure::type);
  EXPECT_EQ(hello_failure(Error::message_type_unexpected), HelloFailure::type);
  EXPECT_EQ(hello_failure(Error::busy_with_content), HelloFailure::type);
  EXPECT_EQ(hello_failure(Error::client_hello_size), HelloFailure::size);
  EXPECT_EQ(hello_failure(Error::packet_size_unexpected), HelloFailure::size);
  EXPECT_EQ(hello_failure(Error::session_id_mismatch), HelloFailure::header);
  EXPECT_EQ(hello_failure(Error::counter_unexpected), HelloFailure::header);
  EXPECT_EQ(handshake_failure(Error::frame_oversize), HandshakeFailure::oversize);
  EXPECT_EQ(handshake_failure(Error::packet_too_short), HandshakeFailure::too_short);
  EXPECT_EQ(handshake_failure(Error::version_unsupported), HandshakeFailure::version);
  EXPECT_EQ(handshake_failure(Error::message_type_unexpected), HandshakeFailure::type);
  EXPECT_EQ(handshake_failure(Error::packet_size_unexpected), HandshakeFailure::size);
  EXPECT_EQ(handshake_failure(Error::session_id_mismatch), HandshakeFailure::session_id);
  EXPECT_EQ(handshake_failure(Error::counter_unexpected), HandshakeFailure::counter);
  EXPECT_EQ(handshake_failure(Error::noise_decrypt), HandshakeFailure::decrypt);
  EXPECT_EQ(handshake_failure(Error::key_low_order), HandshakeFailure::low_order);
  EXPECT_EQ(handshake_failure(Error::static_key_mismatch), HandshakeFailure::static_key_mismatch);
}

TEST(Metrics, OutcomesFromManyThreadsAddUp) {
  Metrics metrics;
  constexpr int threads = 4;
  constexpr int rounds = 3000;
  std::atomic<bool> done = false;
  std::thread scraper([&] {
    while (!done)
      (void)metrics.text();
  });
  std::vector<std::thread> workers;
  workers.reserve(threads);
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&metrics, t] {
      for (int i = 0; i < rounds; ++i) {
        metrics.connection_opened();
        metrics.bytes_received(98);
        metrics.bytes_sent(82);
        const bool good = (i + t) % 3 != 0;
        if (good) {
          metrics.handshake_succeeded(0.001);
        } else {
          metrics.handshake_failed(HandshakeFailure::decrypt, 0.2);
        }
        metrics.registration_attempted();
        if (good) {
          metrics.registration_succeeded(i % 2 == 0, 0.003);
        } else {
          metrics.registration_failed(RegistrationFailure::bad_signature, 0.004);
        }
        metrics.connection_closed(good, 0.02);
      }
    });
  }
  for (auto& worker : workers)
    worker.join();
  done = true;
  scraper.join();

  const Exposition text = parse(metrics.text());
  constexpr double total = threads * rounds;
  EXPECT_EQ(text.at("lp_active_lp_connections"), 0);
  EXPECT_EQ(text.sum("lp_connections_total"), total);
  EXPECT_EQ(text.at("lp_connection_duration_seconds_count"), total);
  EXPECT_EQ(text.at("lp_connections_completed_gracefully"),
            text.at("lp_connections_total{result=\"success\"}"));
  EXPECT_EQ(text.at("lp_connections_completed_with_error"),
            text.at("lp_connections_total{result=\"error\"}"));
  EXPECT_EQ(text.at("lp_handshakes_success") + text.sum("lp_handshakes_failed"), total);
  EXPECT_EQ(text.at("lp_handshake_duration_seconds_count"), total);
  EXPECT_EQ(text.at("lp_registration_attempts_total"), total);
  EXPECT_EQ(text.sum("lp_registration_success_total") + text.sum("lp_registration_failed_total"),
            total);
  EXPECT_EQ(text.at("lp_registration_duration_seconds_count"), total);
  EXPECT_EQ(text.at("lp_registration_dvpn_success"),
            text.at("lp_registration_success_total{mode=\"dvpn\"}"));
  EXPECT_EQ(text.at("lp_registration_mixnet_success"),
            text.at("lp_registration_success_total{mode=\"mixnet\"}"));
  EXPECT_EQ(text.at("lp_connection_bytes_received_total"), 98 * total);
  EXPECT_EQ(text.at("lp_connection_bytes_sent_total"), 82 * total);
}

TEST(Metrics, RejectedConnectionIsNoConnection) {
  Metrics metrics;
  metrics.connection_rejected(RejectReason::max_connections);
  const Exposition text = parse(metrics.text());
  EXPECT_EQ(text.sum("lp_connections_rejected_total"), 1);
  EXPECT_EQ(text.sum("lp_connections_total"), 0);
  EXPECT_EQ(text.at("lp_active_lp_connections"), 0);
}

TEST(Metrics, ActiveConnectionsAreThoseOpenNow) {
  Metrics metrics;
  metrics.connection_opened();
  metrics.connection_opened();
  metrics.connection_closed(false, 1);
  EXPECT_EQ(metrics.active_connections(), 1u);
  EXPECT_EQ(parse(metrics.text()).at("lp_active_lp_connections"), 1);
}

TEST(Metrics, FastHandshakesAreToldApartByBuckets) {
  Metrics metrics;
  metrics.handshake_succeeded(0.0004);
  metrics.handshake_succeeded(0.0006);
  const Exposition text = parse(metrics.text());
  EXPECT_EQ(text.at("lp_handshake_duration_seconds_bucket{le=\"0.0005\"}"), 1);
  EXPECT_EQ(text.at("lp_handshake_duration_seconds_bucket{le=\"0.001\"}"), 2);
}

TEST(Metrics, TotalsCountedElsewhereNeverGoBack) {
  Metrics metrics;
  metrics.set_storage(true, 10, 1, 40, 3);
  metrics.set_storage(true, 10, 1, 40, 0);
  metrics.set_storage(false, 4, 0, 12, 0);
  const Exposition text = parse(metrics.text());
  EXPECT_EQ(text.at("lp_storage_transactions_total{result=\"committed\"}"), 10);
  EXPECT_EQ(text.at("lp_storage_transactions_total{result=\"failed\"}"), 1);
  EXPECT_EQ(text.at("lp_storage_statements_total"), 40);
  EXPECT_EQ(text.at("lp_storage_queue_length"), 0);
  EXPECT_EQ(text.at("lp_storage_up"), 0);
}

TEST(Metrics, BytesAreExactWhereDoublesStillAre) {
  Metrics metrics;
  metrics.bandwidth_allocated(std::uint64_t{1} << 52);
  metrics.bandwidth_allocated(1);
  EXPECT_EQ(parse(metrics.text()).at("lp_bandwidth_allocated_bytes_total"), 4503599627370497.0);
}

TEST(Metrics, MeteringThatFailedIsNotTheLatestThatSucceeded) {
  Metrics metrics;
  metrics.metered(MeteringResult::success, 700, 2, 1, 1'760'000'000);
  metrics.metered(MeteringResult::storage_failed, 30, 1, 0, 1'760'000'030);
  const Exposition text = parse(metrics.text());
  EXPECT_EQ(text.at("lp_bandwidth_used_bytes_total"), 730);
  EXPECT_EQ(text.at("lp_bandwidth_spent_peers_total"), 3);
  EXPECT_EQ(text.at("lp_metering_counter_resets_total"), 1);
  EXPECT_EQ(text.at("lp_metering_last_success_timestamp_seconds"), 1'760'000'000);
}

TEST(Metrics, WireguardIsWhatTheLatestComparisonFound) {
  Metrics metrics;
  metrics.set_wireguard(true, 10, 3, 2);
  metrics.wireguard_compared(true, 4);
  metrics.wireguard_compared(false, 0);
  metrics.wireguard_removed(5);
  const Exposition text = parse(metrics.text());
  EXPECT_EQ(text.at("lp_wireguard_up"), 1);
  EXPECT_EQ(text.at("lp_wireguard_peers"), 10);
  EXPECT_EQ(text.at("lp_wireguard_pending_removals"), 3);
  EXPECT_EQ(text.at("lp_wireguard_unknown_peers"), 2);
  EXPECT_EQ(text.at("lp_wireguard_restored_peers_total"), 4);
  EXPECT_EQ(text.at("lp_wireguard_removed_peers_total"), 5);
  EXPECT_EQ(text.at("lp_wireguard_comparisons_total{result=\"success\"}"), 1);
  EXPECT_EQ(text.at("lp_wireguard_comparisons_total{result=\"error\"}"), 1);
}

TEST(Metrics, ProcessIsThisProcess) {
  using namespace std::chrono;
  const double now = duration<double>(system_clock::now().time_since_epoch()).count();
  const Exposition text = parse(Metrics().text());
  EXPECT_GT(text.at("process_resident_memory_bytes"), 1e6);
  EXPECT_GE(text.at("process_open_fds"), 3);
  EXPECT_GE(text.at("process_max_fds"), text.at("process_open_fds"));
  EXPECT_GT(text.at("process_cpu_seconds_total"), 0);
  EXPECT_LE(text.at("process_start_time_seconds"), now + 1);
  EXPECT_GT(text.at("process_start_time_seconds"), now - 600);
}

TEST(Metrics, OpenDescriptorsAreCountedWhenNoneIsLeft) {
  Metrics metrics;
  const double before = parse(metrics.text()).at("process_open_fds");
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  rlimit none = usual;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string text = metrics.text();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_EQ(parse(text).at("process_open_fds"), before);
  EXPECT_GT(parse(text).at("process_resident_memory_bytes"), 1e6);
}

TEST(Metrics, OpenDescriptorsAreCountedExactly) {
  Metrics metrics;
  const double before = parse(metrics.text()).at("process_open_fds");
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(parse(metrics.text()).at("process_open_fds"), before + 2);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(parse(metrics.text()).at("process_open_fds"), before);
}

}  // namespace
}  // namespace lp::gateway::metrics::test
