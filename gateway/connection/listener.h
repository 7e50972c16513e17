// Accepting connections, and turning away those that are too many.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "gateway/connection/admission.h"
#include "gateway/connection/asio.h"
#include "gateway/connection/connection.h"
#include "gateway/connection/descriptor_reserve.h"
#include "gateway/connection/listening_sockets.h"
#include "gateway/metrics/metrics.h"

namespace lp::gateway::connection {

/// Accepts on one I/O thread, on which everything but `descriptor_freed` is called.
class Listener {
 public:
  /// Takes over a connection that was admitted and counted as opened.
  using Deliver = std::function<void(Accepted)>;
  /// The settings of now. Any thread.
  using CurrentSettings = std::function<std::shared_ptr<const ReloadableSettings>()>;

  Listener(Worker& worker, std::vector<ListeningSocket> sockets, Admission& admission,
           CurrentSettings settings, Deliver deliver, metrics::Metrics& metrics);

  void start();
  /// Answers Busy to those who still wait to be accepted, and closes the listening sockets.
  void stop();
  /// A connection has ended. Any thread, while the worker's context exists.
  void descriptor_freed();

 private:
  struct Entry {
    explicit Entry(Executor executor) : acceptor(executor), pause(executor) {}
    Acceptor acceptor;
    Timer pause;
  };
  enum class Batch : std::uint8_t { done, out_of_resources };

  Task<void> accept_on(Entry& entry);
  Task<void> pause(Entry& entry);
  [[nodiscard]] Batch accept_batch(Entry& entry);
  void take(UniqueFd fd, const messages::IpAddress& peer);
  void warn_of_pause();
  void reject(UniqueFd fd, metrics::RejectReason reason);

  Worker& worker_;
  Admission& admission_;
  CurrentSettings settings_;
  Deliver deliver_;
  metrics::Metrics& metrics_;
  DescriptorReserve reserve_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::atomic<bool> paused_{false};
  int shortage_ = 0;  // errno of the accept that found nothing left
  MonotonicTime next_warning_;
  bool stopping_ = false;
};

}  // namespace lp::gateway::connection
