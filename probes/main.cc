// lp-probe: registers at LP gateways and tells what went well, how fast, and what did not.
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "lib/crypto/random.h"
#include "probes/client/socket.h"
#include "probes/decode.h"
#include "probes/load/command.h"
#include "probes/log.h"
#include "probes/options/load.h"
#include "probes/report/prometheus.h"
#include "probes/runner.h"
#include "probes/trace.h"
#include "probes/version.h"
#include "probes/wallet/commands.h"
#include "probes/wallet/make_controller.h"

namespace {

using namespace lp::probe;

int cancel_fd = -1;

void on_signal(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(cancel_fd, &one, sizeof one);
  errno = saved;
}

/// The first SIGINT or SIGTERM ends the run in order, a second one at once.
bool catch_signals() {
  cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (cancel_fd < 0) return false;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  return sigaction(SIGINT, &action, nullptr) == 0 && sigaction(SIGTERM, &action, nullptr) == 0;
}

bool color_wanted(options::Color color, int fd) {
  if (color != options::Color::automatic) return color == options::Color::always;
  const auto no_color = options::process_environment("NO_COLOR");
  const auto term = options::process_environment("TERM");
  return isatty(fd) == 1 && (!no_color || no_color->empty()) && term != "dumb";
}

std::unique_ptr<report::Writer> make_writer(const options::Settings& settings) {
  switch (settings.format) {
    case options::Format::json:
      return report::make_json_writer(
          stdout, settings.targets.size() > 1 || !settings.targets_file.empty());
    case options::Format::ndjson:
      return report::make_ndjson_writer(stdout);
    case options::Format::junit:
      return report::make_junit_writer(stdout);
    case options::Format::nagios:
      return report::make_nagios_writer(stdout, settings.warn, settings.crit);
    case options::Format::prometheus:
      return report::make_prometheus_writer(stdout);
    case options::Format::text:
      break;
  }
  return report::make_text_writer(
      stdout, {.color = color_wanted(settings.color, STDOUT_FILENO),
               .together = settings.parallel > 1 && settings.targets.size() > 1});
}

void print_error_codes() {
  for (const auto& row : error_codes()) {
    fmt::print("{}\n  stage: {}; exit status: {}\n  {}\n  hint: {}\n", row.name, row.stages,
               row.exit_status, row.meaning, row.hint);
  }
}

/// A result that nobody could read is a failure of its own.
int finish_output(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  fmt::print(stderr, "lp-probe: standard output: {}\n", std::strerror(errno));
  return exit_status::cannot_create;
}

int probe(const options::Settings& settings) {
  std::optional<Trace> trace;
  if (settings.trace) {
    trace.emplace(stderr, settings.trace_secrets ? Secrets::shown : Secrets::redacted);
  }
  const auto writer = make_writer(settings);
  const auto tickets = wallet::make_controller(settings, cancel_fd);
  report::MetricsCollector metrics(writer.get());
  Runner runner(settings, *tickets, metrics, trace ? &*trace : nullptr, cancel_fd);
  int status = runner.run();
  // Said last, where it is still read after the results of many.
  for (const auto& sentence : settings.bad_targets) {
    log::error("input_unreadable: " + sentence);
    status = worse_exit_status(status, exit_status::no_input);
  }
  if (!settings.textfile.empty()) {
    if (const auto written = metrics.write(settings.textfile); !written) {
      log::error(fmt::format("output_unwritable: {}", printable(written.error().sentence)));
      status = worse_exit_status(status, written.error().permission ? exit_status::no_permission
                                                                    : exit_status::cannot_create);
    }
  }
  return final_exit_status(status, settings.fail_on);
}

int run(int argc, char** argv) {
  const auto settings =
      options::load({argv + (argc > 0 ? 1 : 0), argv + argc}, options::process_environment);
  if (!settings) {
    const auto& stop = settings.error();
    std::fputs(stop.text.c_str(), stop.to_stdout ? stdout : stderr);
    return stop.exit_status;
  }
  log::start(*settings, color_wanted(settings->color, STDERR_FILENO));
  if (settings->version) {
    std::fputs(version_text().c_str(), stdout);
    return exit_status::ok;
  }
  if (settings->list_error_codes) {
    print_error_codes();
    return exit_status::ok;
  }
  if (settings->decode) {
    return run_decode(*settings->decode,
                      settings->trace_secrets ? Secrets::shown : Secrets::redacted, stdin, stdout,
                      stderr);
  }
  if (!lp::crypto::initialise() || !catch_signals()) {
    fmt::print(stderr, "lp-probe: this machine gives no randomness or no descriptors\n");
    return exit_status::internal;
  }
  if (settings->wallet_command) return wallet::run_command(*settings, stdout, cancel_fd);
  if (settings->load) return load::run_command(*settings, stdout, cancel_fd);
  return probe(*settings);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return finish_output(run(argc, argv));
  } catch (const std::exception& error) {
    // Nothing is known to throw; memory may still run out.
    fmt::print(stderr, "lp-probe: {}\n", error.what());
    return exit_status::internal;
  }
}
