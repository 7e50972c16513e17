// The function bodies of Boost.Asio's TLS streams. Apart from the rest, so that a program that uses
// no TLS does not link OpenSSL for it.
#include <boost/asio/ssl/impl/src.hpp>
