// The server's side of TLS.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <expected>

#include "lib/http/server.h"

namespace lp::http {

/// A context with certificate and key. The refusal names the file.
[[nodiscard]] std::expected<boost::asio::ssl::context, Refusal> make_tls_context(
    const TlsFiles& files);

}  // namespace lp::http
