#include "gateway/connection/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>

#include "gateway/config/log.h"
#include "gateway/connection/address.h"
#include "lib/wire/packet.h"

namespace lp::gateway::connection {
namespace {

/// Accepted in a row before this thread's connections get their turn.
constexpr int max_batch = 64;
/// The length of the kernel's queue.
constexpr int max_batch_when_stopping = 4096;
/// Reads of a rejected connection's input.
constexpr int max_reads_of_rejected = 4;
/// One warning of a pause in this time.
constexpr std::chrono::seconds warning_interval{10};
/// How long accepting pauses where no connection of ours ends first: what was short may be freed by
/// somebody else.
constexpr std::chrono::milliseconds pause_length{100};

/// Errors of accept(2) that concern the one connection that was to be accepted.
bool is_connections_own(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPERM:  // a firewall rule
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

Listener::Listener(Worker& worker, std::vector<ListeningSocket> sockets, Admission& admission,
                   CurrentSettings settings, Deliver deliver, metrics::Metrics& metrics)
    : worker_(worker),
      admission_(admission),
      settings_(std::move(settings)),
      deliver_(std::move(deliver)),
      metrics_(metrics) {
  for (ListeningSocket& socket : sockets) {
    auto entry = std::make_unique<Entry>(worker.context.get_executor());
    const bool ipv4 = std::holds_alternative<messages::IpV4>(socket.address.ip);
    entry->acceptor.assign(ipv4 ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), socket.fd.get());
    (void)socket.fd.release();
    entries_.push_back(std::move(entry));
  }
}

void Listener::start() {
  for (const auto& entry : entries_) {
    asio::co_spawn(worker_.context, accept_on(*entry), asio::detached);
  }
}

void Listener::stop() {
  stopping_ = true;
  for (const auto& entry : entries_) {
    (void)accept_batch(*entry);  // in a pause too: the reserve is free for it
    boost::system::error_code ignored;
    entry->acceptor.close(ignored);
    entry->pause.cancel();
  }
}

void Listener::descriptor_freed() {
  if (!paused_) return;
  asio::post(worker_.context, [this] {
    for (const auto& entry : entries_)
      entry->pause.cancel();
  });
}

Task<void> Listener::accept_on(Entry& entry) {
  while (!stopping_) {
    boost::system::error_code ignored;
    co_await entry.acceptor.async_wait(asio::socket_base::wait_read,
                                       asio::redirect_error(use_task, ignored));
    if (stopping_) co_return;
    // Where another address's socket has found nothing left, this one does not take the reserve.
    const bool short_of = paused_ || accept_batch(entry) == Batch::out_of_resources;
    if (short_of) co_await pause(entry);
  }
}

/// "Accepting pauses until one is free: new clients wait in the kernel's queue, and the gateway
/// does not spin" (docs/gateway.md, "One connection").
Task<void> Listener::pause(Entry& entry) {
  if (!paused_.exchange(true)) {
    reserve_.release();  // first: what is called here may need a descriptor
    metrics_.accept_paused();
    warn_of_pause();
  }
  do {
    boost::system::error_code ignored;
    entry.pause.expires_after(pause_length);
    co_await entry.pause.async_wait(asio::redirect_error(use_task, ignored));
  } while (!stopping_ && paused_ && !reserve_.restore());
  paused_ = false;
}

Listener::Batch Listener::accept_batch(Entry& entry) {
  const int limit = stopping_ ? max_batch_when_stopping : max_batch;
  for (int i = 0; i < limit; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd fd(::accept4(entry.acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address),
                          &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      take(std::move(fd), socket_address(address).ip);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Batch::done;
    } else if (!is_connections_own(errno)) {
      shortage_ = errno;
      return Batch::out_of_resources;
    }
  }
  return Batch::done;
}

void Listener::warn_of_pause() {
  const MonotonicTime now = std::chrono::steady_clock::now();
  if (now < next_warning_) return;
  next_warning_ = now + warning_interval;
  log::warning("cannot accept connections; new ones wait",
               {{"error", std::generic_category().message(shortage_)},
                {"connections", admission_.active()}});
}

void Listener::take(UniqueFd fd, const messages::IpAddress& peer) {
  if (stopping_) return reject(std::move(fd), metrics::RejectReason::shutting_down);
  auto settings = settings_();
  auto slot =
      admission_.admit(peer, {settings->max_connections, settings->max_connections_per_address});
  if (!slot) return reject(std::move(fd), slot.error());

  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  metrics_.connection_opened();
  deliver_({std::move(fd), std::move(*slot), peer, std::chrono::steady_clock::now(),
            std::move(settings)});
}

/// Sends Busy without waiting for anything, and closes. What the client has sent already is read,
/// for a close with input unread would send a reset after the Busy.
void Listener::reject(UniqueFd fd, metrics::RejectReason reason) {
  metrics_.connection_rejected(reason);
  const auto& busy = wire::busy_frame();
  (void)::send(fd.get(), busy.data(), busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(fd.get(), SHUT_WR);
  for (int i = 0; i < max_reads_of_rejected; ++i) {
    if (::recv(fd.get(), worker_.scratch.data(), worker_.scratch.size(), MSG_DONTWAIT) <= 0) break;
  }
}

}  // namespace lp::gateway::connection
