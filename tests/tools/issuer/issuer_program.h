// The real lp-issuer, and a client that withdraws from it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/ecash/withdrawal.h"
#include "lib/net/fetch.h"
#include "lib/net/verification_keys.h"
#include "tests/support/process.h"

namespace lp::issuer::test {

using lp::test::Child;
using lp::test::Ended;
using lp::test::Finished;
using lp::test::TempDir;
using messages::TicketType;

[[nodiscard]] bool long_run();

/// Runs lp-issuer to its end.
[[nodiscard]] Finished lp_issuer(std::vector<std::string> args);

/// What /v1/sign is sent.
[[nodiscard]] std::string sign_body(std::uint64_t epoch, TicketType type,
                                    const std::vector<crypto::G1Encoding>& points);
/// One fresh blinded point.
[[nodiscard]] crypto::G1Encoding fresh_point();
/// The signatures in a body of /v1/sign.
[[nodiscard]] std::vector<Bytes> signatures(const std::string& body);
/// "error" of a body of /v1/sign.
[[nodiscard]] std::string error_of(const std::string& body);

/// An issuer that serves, on a free port of loopback; ended by the destructor.
class IssuerProgram {
 public:
  /// `run --ephemeral` with these flags.
  [[nodiscard]] static IssuerProgram ephemeral(std::vector<std::string> flags = {});
  /// `init` and `run` in this directory.
  IssuerProgram(const std::filesystem::path& data_dir, std::vector<std::string> init_flags = {});

  /// Starts it again on the same data, after `kill` or `stop`.
  void start(std::vector<std::string> flags = {});
  void kill() { (void)child_->kill(); }
  /// SIGTERM; how it ended.
  Ended stop();

  /// Adds a token with these flags.
  [[nodiscard]] std::string add_token(std::vector<std::string> flags) const;
  /// "used" of token list, for this token id.
  [[nodiscard]] std::int64_t used(int id = 1) const;

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::string& contract() const { return contract_; }
  /// Of an ephemeral one.
  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] const std::filesystem::path& data_dir() const { return data_dir_; }
  [[nodiscard]] std::string ready_line() const { return ready_; }
  [[nodiscard]] Child& child() { return *child_; }
  [[nodiscard]] net::Url url(const std::string& path = "/") const;

  /// What the chain shows. Throws where it does not answer.
  [[nodiscard]] std::vector<net::ChainKey> keys() const;
  /// The key of the newest epoch for a type.
  [[nodiscard]] net::ChainKey newest_key(TicketType type = TicketType::v1_wireguard_entry) const;

  [[nodiscard]] std::expected<net::FetchResponse, net::FetchError> sign(
      const std::string& token, const std::string& body) const;
  /// The status alone; 0 where there was no answer.
  [[nodiscard]] unsigned sign_status(const std::string& token, const std::string& body) const;

 private:
  IssuerProgram() = default;
  void launch(std::vector<std::string> args);

  std::filesystem::path data_dir_;
  std::unique_ptr<Child> child_;
  std::string ready_;
  std::string address_;
  std::string contract_;
  std::string token_;
};

}  // namespace lp::issuer::test
