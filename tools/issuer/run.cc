#include "tools/issuer/run.h"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#include "lib/http/server.h"
#include "lib/log/log.h"
#include "tools/issuer/data_dir.h"
#include "tools/issuer/issuer.h"
#include "tools/issuer/loopback.h"
#include "tools/issuer/routes.h"
#include "tools/issuer/token.h"
#include "tools/issuer/values.h"

namespace lp::issuer {
namespace {

/// Connections, all of which one address may have: behind one there may be many, a proxy for one.
constexpr std::size_t max_connections = 512;
/// Requests that wait to be signed. A full one of 64 points takes some 20 ms, so that the last one
/// is answered before its client gives up, and whoever comes after it comes again.
constexpr std::size_t sign_queue = 128;
/// Queries that wait. Each takes a fraction of a millisecond.
constexpr std::size_t query_queue = max_connections;
/// How often keys are looked after where nobody asks.
constexpr timespec rotation_interval{.tv_sec = 30, .tv_nsec = 0};

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  return set;
}

Outcome check_reach(const Options& options) {
  const auto address = messages::ip_address_from_string(options.http_address);
  if (!address) {
    return std::unexpected(
        Refusal{ExitCode::configuration,
                fmt::format("--http-address \"{}\" is no IP address", options.http_address)});
  }
  if (!options.tls_cert.empty() || is_loopback(*address)) return {};
  return std::unexpected(
      Refusal{ExitCode::configuration,
              fmt::format("--http-address {}: without --tls-cert and --tls-key only loopback is "
                          "served, for tokens must not travel in the clear",
                          options.http_address)});
}

http::ServerOptions server_options(const Options& options) {
  http::ServerOptions server{.name = "lp-issuer",
                             .address = options.http_address,
                             .port = options.http_port,
                             .tls = std::nullopt,
                             .max_connections = max_connections,
                             .max_connections_per_address = max_connections,
                             .is_favoured = is_loopback};
  if (!options.tls_cert.empty()) server.tls = {options.tls_cert, options.tls_key};
  return server;
}

/// Calls `look_after` now and then, until a signal comes.
template <typename Function>
void wait_for_signal(Function look_after) {
  const sigset_t set = awaited_signals();
  int signal = -1;
  while (signal < 0) {
    signal = ::sigtimedwait(&set, nullptr, &rotation_interval);
    if (signal < 0) look_after();
  }
  log::info(signal == SIGINT ? "SIGINT: shutting down" : "SIGTERM: shutting down");
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // a second one ends the process at once
}

/// `extra` is the end of the ready line.
Outcome serve(const std::filesystem::path& data_dir, Opened opened, const Options& options,
              const std::string& extra) {
  auto second = Store::open(database_file(data_dir));
  if (!second) return std::unexpected(database_refusal(data_dir, second.error()));
  const SystemWallClock clock;
  Counters counters;
  Contract contract(*std::move(second), clock);
  Issuer issuer(std::move(opened.store), clock, counters);
  if (auto rotated = issuer.rotate(); !rotated) {
    return std::unexpected(Refusal{ExitCode::unavailable, rotated.error().message});
  }
  Worker answering("lp-contract", query_queue);
  Worker signing("lp-signer", sign_queue);
  Routes routes(opened.authority.contract, {contract, answering}, {issuer, signing}, counters);
  const auto server = http::start_server(server_options(options), routes);
  if (!server) return std::unexpected(server.error());
  log::info(fmt::format("lp-issuer " LP_VERSION " serves {} on {}",
                        options.tls_cert.empty() ? "HTTP" : "HTTPS", (*server)->address()));
  log::flush();  // what the start had to say comes before the ready line
  const auto printed =
      print(fmt::format("ready {}={} contract={}{}\n", options.tls_cert.empty() ? "http" : "https",
                        (*server)->address(), opened.authority.contract, extra));
  // Whoever started it and closed the pipe still wants it to run.
  if (!printed) log::warning(printed.error().sentence);
  wait_for_signal([&] {
    Worker::Job job = [&contract] { (void)contract.verification_keys(); };
    (void)answering.post(job);  // where it is full, requests look after the keys
  });
  (*server)->shut_down();
  log::info("stopped");
  return {};
}

Outcome serve_ephemeral(const Options& options) {
  const TemporaryDir directory;
  if (directory.path().empty()) {
    return std::unexpected(
        Refusal{ExitCode::cannot_create,
                fmt::format("no temporary directory can be made: {}", std::strerror(errno))});
  }
  const Authority authority{
      .contract = options.contract.empty() ? generate_contract_address() : options.contract,
      .epoch_length = options.epoch_length,
      .retention = options.retention};
  const UnixSeconds now = SystemWallClock().now();
  auto issuer = create_issuer(directory.path(), authority, now);
  if (!issuer) return std::unexpected(issuer.error());
  const std::string token = generate_token();
  const auto id = issuer->store.add_token(hash_token(token), "ephemeral", options.allowances, now);
  if (!id) return std::unexpected(database_refusal(directory.path(), id.error()));
  return serve(directory.path(), *std::move(issuer), options, " token=" + token);
}

}  // namespace

Outcome run(const Options& options) {
  const sigset_t set = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // there is nothing to reload
  log::set_level(options.log_level);
  log::set_format(options.log_format);
  if (auto reach = check_reach(options); !reach) return reach;
  if (options.ephemeral) return serve_ephemeral(options);
  auto opened = open_issuer(options.data_dir);
  if (!opened) return std::unexpected(opened.error());
  return serve(options.data_dir, *std::move(opened), options, "");
}

}  // namespace lp::issuer
