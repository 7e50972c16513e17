// Certificates for one test: an authority, and servers with names that fit or do not.
#pragma once

#include <filesystem>
#include <string>

namespace lp::test {

struct Certificate {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
};

/// An authority of its own.
class CertificateAuthority {
 public:
  CertificateAuthority();
  [[nodiscard]] const std::string& pem() const { return self_.certificate; }

  enum class Validity { good, expired };
  /// For subject alternative names as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
  [[nodiscard]] Certificate issue(const std::string& names,
                                  Validity validity = Validity::good) const;

 private:
  Certificate self_;
};

}  // namespace lp::test
