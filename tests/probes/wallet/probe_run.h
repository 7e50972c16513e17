// The real lp-probe with a wallet, an issuer and nothing of the user's own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/probes/wallet/scripted_issuer.h"
#include "tests/support/process.h"

namespace lp::test {

class ProbeWithWallet {
 public:
  /// Keeps wallet and token in `dir`.
  ProbeWithWallet(const TempDir& dir, std::string issuer_url,
                  std::string contract = ScriptedIssuer::contract,
                  const std::string& token = ScriptedIssuer::token)
      : wallet_(dir / "wallet.sqlite"),
        token_(dir / "token"),
        issuer_url_(std::move(issuer_url)),
        contract_(std::move(contract)) {
    write_file(token_, token, 0600);
  }

  [[nodiscard]] const std::filesystem::path& wallet() const { return wallet_; }
  [[nodiscard]] const std::filesystem::path& token() const { return token_; }

  /// These arguments, with the wallet and the issuer.
  [[nodiscard]] ChildOptions options(std::vector<std::string> args) const {
    auto all = without_issuer(std::move(args));
    all.args.insert(all.args.begin(),
                    {"--chain-url", issuer_url_, "--ecash-contract", contract_, "--issuer",
                     issuer_url_, "--issuer-token-file", token_.string()});
    return all;
  }
  [[nodiscard]] ChildOptions without_issuer(std::vector<std::string> args) const {
    args.insert(args.begin(), {"--wallet", wallet_.string()});
    return {.program = program("lp-probe"),
            .args = std::move(args),
            .environment = {{"HOME", "/nonexistent"},
                            {"XDG_CONFIG_HOME", std::nullopt},
                            {"XDG_DATA_HOME", std::nullopt}}};
  }
  [[nodiscard]] Finished run(std::vector<std::string> args) const {
    return test::run(options(std::move(args)));
  }

 private:
  std::filesystem::path wallet_;
  std::filesystem::path token_;
  std::string issuer_url_;
  std::string contract_;
};

}  // namespace lp::test
