#include "probes/resolve.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace lp::probe {
namespace {

using client::Descriptor;
using client::Endpoint;
using client::Wait;

int address_family(Family family) {
  switch (family) {
    case Family::ipv4:
      return AF_INET;
    case Family::ipv6:
      return AF_INET6;
    case Family::any:
      break;
  }
  return AF_UNSPEC;
}

/// What the looking-up thread leaves behind; it may outlive its caller.
struct Lookup {
  std::string host;
  Descriptor done;  ///< eventfd
  std::mutex mutex;
  int error = 0;
  int system_error = 0;
  std::vector<Endpoint> found;
};

void look_up(Lookup& lookup) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(lookup.host.c_str(), nullptr, &hints, &list);
  const int system_error = errno;
  {
    const std::lock_guard lock(lookup.mutex);
    lookup.error = error;
    lookup.system_error = system_error;
    for (const addrinfo* at = list; error == 0 && at != nullptr; at = at->ai_next) {
      const Endpoint endpoint(at->ai_addr, at->ai_addrlen);
      if (endpoint.valid()) lookup.found.push_back(endpoint);
    }
  }
  if (error == 0) freeaddrinfo(list);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(lookup.done.get(), &one, sizeof one);
}

ProbeError lookup_error(const Lookup& lookup) {
  const std::string shown = printable(lookup.host, 100);
  const auto report = [&](ProbeCode code, const std::string& reason) {
    return ProbeError{Stage::resolve, code, fmt::format("{}: {}", shown, reason)};
  };
  switch (lookup.error) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      return report(ProbeCode::dns_not_found, gai_strerror(lookup.error));
    case EAI_SYSTEM:
      return report(ProbeCode::dns_failed, client::errno_text(lookup.system_error));
    default:
      return report(ProbeCode::dns_failed, gai_strerror(lookup.error));
  }
}

Outcome<std::vector<Endpoint>> select(const std::string& host, std::vector<Endpoint> found,
                                      std::uint16_t port, Family family) {
  if (family != Family::any) {
    std::erase_if(found, [&](const Endpoint& endpoint) {
      return endpoint.family() != address_family(family);
    });
  }
  if (found.empty()) {
    return fail(Stage::resolve, ProbeCode::no_address_of_family,
                fmt::format("{} has no {} address", printable(host, 100),
                            family == Family::ipv6 ? "IPv6" : "IPv4"));
  }
  for (auto& endpoint : found)
    endpoint.set_port(port);
  return found;
}

}  // namespace

Outcome<std::vector<Endpoint>> resolve(const std::string& host, std::uint16_t port, Family family,
                                       MonotonicTime deadline, int cancel_fd) {
  if (const auto literal = Endpoint::from_literal(host, port)) {
    return select(host, {*literal}, port, family);
  }
  const auto timeout = [&] {
    return fail(Stage::resolve, ProbeCode::dns_timeout,
                fmt::format("{}: no answer from the resolver", printable(host, 100)));
  };
  if (deadline <= std::chrono::steady_clock::now()) return timeout();
  auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  lookup->done = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!lookup->done.valid()) {
    return fail(Stage::resolve, ProbeCode::out_of_descriptors, client::errno_text(errno));
  }
  try {
    std::thread([lookup] { look_up(*lookup); }).detach();
  } catch (const std::system_error& error) {
    return fail(Stage::resolve, ProbeCode::out_of_descriptors, error.what());
  }
  switch (client::wait_for(lookup->done.get(), POLLIN, deadline, cancel_fd)) {
    case Wait::ready:
      break;
    case Wait::cancelled:
      return fail(Stage::resolve, ProbeCode::interrupted, "interrupted by a signal");
    case Wait::timeout:
    case Wait::failed:
      return timeout();
  }
  const std::lock_guard lock(lookup->mutex);
  if (lookup->error != 0) return std::unexpected(lookup_error(*lookup));
  return select(host, lookup->found, port, family);
}

}  // namespace lp::probe
