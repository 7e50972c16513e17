#include "probes/client/connect_error.h"

#include <fmt/format.h>

#include <cerrno>

namespace lp::probe::client {
namespace {

ProbeCode code_of_errno(int error) {
  switch (error) {
    case ECONNREFUSED:
      return ProbeCode::tcp_refused;
    case ETIMEDOUT:
      return ProbeCode::tcp_timeout;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EAFNOSUPPORT:
      return ProbeCode::tcp_unreachable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return ProbeCode::out_of_descriptors;
    case EADDRNOTAVAIL:  // no local port left, or no local address fits
      return ProbeCode::source_address_unusable;
    default:
      return ProbeCode::tcp_failed;
  }
}

}  // namespace

ProbeError connect_error(const Endpoint& to, const ConnectFailure& failure) {
  const auto report = [](ProbeCode code, std::string detail) {
    return ProbeError{Stage::connect, code, std::move(detail)};
  };
  if (failure.wait == Wait::cancelled) {
    return report(ProbeCode::interrupted, "interrupted by a signal");
  }
  if (failure.wait == Wait::timeout) {
    return report(ProbeCode::tcp_timeout, fmt::format("{}: no answer", to.to_string()));
  }
  const ProbeCode code =
      failure.at_bind ? ProbeCode::source_address_unusable : code_of_errno(failure.error);
  if (failure.error == EADDRNOTAVAIL && !failure.at_bind) {
    return report(code, fmt::format("{}: no local port is left for it (net.ipv4.ip_local_port_range"
                                    ", connections in TIME_WAIT), or no local address fits",
                                    to.to_string()));
  }
  return report(code, fmt::format("{}: {}", to.to_string(), errno_text(failure.error)));
}

}  // namespace lp::probe::client
