#include "gateway/app/parts.h"

#include <string>

#include "gateway/app/data_dir.h"
#include "gateway/storage/sqlite_storage.h"

namespace lp::gateway::app {
namespace {

std::unexpected<Refusal> refuse(std::string sentence) {
  return std::unexpected(Refusal{ExitCode::configuration, std::move(sentence)});
}

ExitCode exit_code(storage::StorageError::Kind kind) {
  using Kind = storage::StorageError::Kind;
  switch (kind) {
    case Kind::invalid:
    case Kind::newer_schema:
      return ExitCode::configuration;
    case Kind::full:
      return ExitCode::cannot_create;
    case Kind::unavailable:
    case Kind::corrupt:
    case Kind::busy:
    case Kind::shutting_down:
      break;
  }
  return ExitCode::unavailable;
}

}  // namespace

std::expected<void, Refusal> check_parts(const Settings& settings) {
  if (settings.wireguard_backend != WireguardBackend::memory) {
    return refuse("wireguard_backend netlink and uapi are not in this version: set it to memory");
  }
  if (!settings.use_mock_ecash) {
    return refuse(
        "verification of tickets with keys from a chain is not in this version: only "
        "use_mock_ecash starts a gateway");
  }
  return {};
}

std::expected<std::unique_ptr<wireguard::Backend>, Refusal> make_backend(const Settings& settings) {
  if (auto checked = check_parts(settings); !checked) return std::unexpected(checked.error());
  return wireguard::make_memory_backend();
}

std::expected<std::unique_ptr<ecash::Verifier>, Refusal> make_verifier(const Settings& settings) {
  if (auto checked = check_parts(settings); !checked) return std::unexpected(checked.error());
  return ecash::make_mock_verifier();
}

std::expected<std::unique_ptr<storage::Storage>, Refusal> open_storage(
    const Settings& settings, bool commit_each_registration) {
  const auto path = database_file(settings);
  if (auto checked = check_database_file(path); !checked) return std::unexpected(checked.error());
  auto opened = storage::open_sqlite({.path = path,
                                      .ipv4_pool = settings.ipv4_pool,
                                      .ipv6_pool = settings.ipv6_pool,
                                      .commit_each = commit_each_registration});
  if (opened) return std::move(*opened);
  return std::unexpected(Refusal{exit_code(opened.error().kind), opened.error().detail});
}

}  // namespace lp::gateway::app
