#include "probes/version.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <spdlog/version.h>

#include <CLI/Version.hpp>
#include <boost/version.hpp>

#include "lib/replay/dispatch.h"

namespace lp::probe {
namespace {

#ifdef __clang__
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

}  // namespace

std::string version_text() {
  return fmt::format(
      "lp-probe {}\n"
      "build: {}, {}\n"
      "libraries: Boost {}.{}.{}, CLI11 {}, fmt {}.{}.{}, libsodium {}, {}, spdlog {}.{}.{}\n"
      "replay kernel: {}\n",
      LP_PROBE_VERSION, compiler, LP_PROBE_BUILD_TYPE, BOOST_VERSION / 100'000,
      BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100, CLI11_VERSION, FMT_VERSION / 10'000,
      FMT_VERSION / 100 % 100, FMT_VERSION % 100, sodium_version_string(),
      OpenSSL_version(OPENSSL_VERSION), SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH,
      replay::describe(replay::selection()));
}

}  // namespace lp::probe
