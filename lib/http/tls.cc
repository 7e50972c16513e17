#include "lib/http/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lp::http {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

std::unexpected<Refusal> refuse(const std::filesystem::path& file, std::string_view what) {
  return std::unexpected(
      Refusal{ExitCode::configuration, fmt::format("{}: {}", file.string(), what)});
}

std::expected<void, Refusal> check_readable(const std::filesystem::path& file) {
  if (::access(file.c_str(), R_OK) == 0) return {};
  const ExitCode code = errno == EACCES ? ExitCode::no_permission : ExitCode::configuration;
  return std::unexpected(
      Refusal{code, fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno))});
}

}  // namespace

std::expected<ssl::context, Refusal> make_tls_context(const TlsFiles& files) {
  for (const auto& file : {files.certificate, files.key}) {
    if (auto readable = check_readable(file); !readable) return std::unexpected(readable.error());
  }
  struct stat status{};
  if (::stat(files.key.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0) {
    return refuse(files.key, "the TLS key can be read by everybody on this machine; chmod 600 it");
  }
  ssl::context context(ssl::context::tls_server);
  error_code error;
  context.set_options(ssl::context::default_workarounds | ssl::context::no_compression |
                          ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                      error);
  SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION);
  // No prompt for the passphrase of a protected key: a daemon has nobody to ask.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return ""; },
                                error);
  context.use_certificate_chain_file(files.certificate.string(), error);
  if (error) return refuse(files.certificate, "holds no PEM certificate: " + error.message());
  context.use_private_key_file(files.key.string(), ssl::context::pem, error);
  if (error) return refuse(files.key, "holds no PEM key for the certificate: " + error.message());
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    return refuse(files.key, "is not the key of " + files.certificate.string());
  }
  return context;
}

}  // namespace lp::http
