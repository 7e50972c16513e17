#include "gateway/app/run_command.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "gateway/app/open_files.h"
#include "gateway/app/reload.h"
#include "gateway/app/service_manager.h"
#include "gateway/app/signals.h"
#include "gateway/config/log.h"
#include "lib/replay/dispatch.h"

namespace lp::gateway::app {
namespace {

/// What runs may take this long to end; the rest of the ten seconds is the storage's.
constexpr std::chrono::milliseconds grace{8'000};

/// A directory for one run, removed at its end.
class EphemeralDir {
 public:
  EphemeralDir() {
    std::error_code error;
    auto base = std::filesystem::temp_directory_path(error);
    if (error) base = "/tmp";
    std::string pattern = (base / "lp-gateway-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~EphemeralDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  EphemeralDir(const EphemeralDir&) = delete;
  EphemeralDir& operator=(const EphemeralDir&) = delete;
  /// Empty where it could not be made; errno tells why.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Settings ephemeral_settings(const std::filesystem::path& data_dir) {
  Settings settings;
  settings.data_dir = data_dir;
  settings.bind_address = {"127.0.0.1"};
  settings.control_port = 0;
  settings.http_address = "127.0.0.1";
  settings.http_port = 0;
  settings.use_mock_ecash = true;
  settings.wireguard_backend = WireguardBackend::memory;
  // As many as this shell's limit of open files allows: it is a test gateway.
  settings.max_connections = std::min(settings.max_connections, most_connections(settings.threads));
  return settings;
}

/// An operator who asked for a kernel and did not get it must not have to find out by measuring.
void log_replay_kernel() {
  const auto& selection = replay::selection();
  using Asked = replay::Selection::Asked;
  const bool as_asked = selection.asked == Asked::nothing || selection.asked == Asked::used;
  const bool good = as_asked && selection.wrong.empty();
  log::write(good ? log::Level::info : log::Level::warning,
             "replay kernel: " + replay::describe(selection));
}

Outcome serve(const SettingsSource& source, const Overrides& overrides) {
  const auto resolved = load_settings(source);
  if (!resolved) return std::unexpected(resolved.error());
  const Settings& settings = resolved->settings;
  log::set_level(log::parse_level(settings.log_level).value_or(log::Level::info));
  log::set_format(log::parse_format(settings.log_format).value_or(log::Format::automatic));
  for (const auto& slip : config::environment_slips(::environ))
    log::warning(slip);
  if (source.ephemeral) {
    if (auto made = make_keys(settings); !made) return made;
  }

  auto gateway = Gateway::start(settings, overrides);
  if (!gateway) return std::unexpected(gateway.error());
  if (settings.use_mock_ecash) {
    log::warning("MOCK E-CASH: every well-formed credential is taken unchecked and grants 1 GiB");
  }
  log_replay_kernel();
  log::info(fmt::format("lp-gateway " LP_VERSION " serves LP on {} and HTTP on {}",
                        (*gateway)->lp_address(), (*gateway)->http_address()));
  log::flush();  // what the start had to say comes before the ready line
  const auto printed =
      print(fmt::format("ready lp={} http={} identity={}\n", (*gateway)->lp_address(),
                        (*gateway)->http_address(), (*gateway)->identity()));
  // Whoever started it and closed the pipe still wants it to run.
  if (!printed) log::warning(printed.error().sentence);

  Reloader reloader(source, **gateway, settings);
  tell_service_manager("READY=1");
  wait_for_signals({.reload = [&] { reloader.reload(); },
                    .stop =
                        [&] {
                          tell_service_manager("STOPPING=1");
                          (*gateway)->shut_down(grace);
                        }});
  log::info("stopped");
  return {};
}

}  // namespace

Outcome run(SettingsSource source, bool ephemeral, const Overrides& overrides) {
  block_signals();
  if (!ephemeral) return serve(source, overrides);
  const EphemeralDir directory;
  if (directory.path().empty()) {
    return std::unexpected(
        Refusal{ExitCode::cannot_create,
                fmt::format("no temporary directory can be made: {}", std::strerror(errno))});
  }
  source.ephemeral = ephemeral_settings(directory.path());
  return serve(source, overrides);
}

}  // namespace lp::gateway::app
