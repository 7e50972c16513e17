#include "tests/lib/net/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <list>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace lp::test {
namespace {

struct Freed {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::unique_ptr<SSL_CTX, Freed> make_context(const Certificate& certificate) {
  std::unique_ptr<SSL_CTX, Freed> context(SSL_CTX_new(TLS_server_method()));
  BIO* text = BIO_new_mem_buf(certificate.certificate.data(), -1);
  X509* parsed = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  BIO* key_text = BIO_new_mem_buf(certificate.key.data(), -1);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  const bool used = SSL_CTX_use_certificate(context.get(), parsed) == 1 &&
                    SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  EVP_PKEY_free(key);
  BIO_free_all(key_text);
  X509_free(parsed);
  BIO_free_all(text);
  if (!used) throw std::runtime_error("a certificate that cannot be used");
  return context;
}

std::size_t content_length(std::string_view header) {
  constexpr std::string_view name = "\r\nContent-Length: ";
  const auto at = header.find(name);
  std::size_t length = 0;
  if (at == std::string_view::npos) return 0;
  const char* begin = header.data() + at + name.size();
  std::from_chars(begin, header.data() + header.size(), length);
  return length;
}

}  // namespace

struct ScriptedServer::Impl {
  class Socket;

  int listener = -1;
  std::uint16_t port = 0;
  std::unique_ptr<SSL_CTX, Freed> context;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  Script script;
  bool stopping = false;
  int connections = 0;
  int most_at_once = 0;
  std::list<int> sockets;
  std::list<std::thread> threads;
  std::thread acceptor;

  void accept_all();
  /// Connections whose client has not closed. One that has is over, even while its script has not
  /// noticed. Under the mutex.
  [[nodiscard]] int open_clients() const;
  void serve(int fd, const Script& with);
};

class ScriptedServer::Impl::Socket final : public ScriptedServer::Connection {
 public:
  Socket(Impl& server, int fd) : server_(server), fd_(fd) {
    if (!server.context) return;
    ssl_.reset(SSL_new(server.context.get()));
    SSL_set_fd(ssl_.get(), fd);
    SSL_accept(ssl_.get());
  }

  std::string read_request() override {
    std::string request;
    std::size_t whole = std::string::npos;
    while (request.size() < whole) {
      std::array<char, 4096> chunk;
      const auto size = receive(chunk.data(), chunk.size());
      if (size <= 0) break;
      request.append(chunk.data(), static_cast<std::size_t>(size));
      const auto end = request.find("\r\n\r\n");
      if (whole == std::string::npos && end != std::string::npos) {
        whole = end + 4 + content_length(std::string_view(request).substr(0, end));
      }
    }
    return request;
  }

  bool send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto part = std::min<std::size_t>(bytes.size(), 16'384);
      const auto size = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(part))
                             : static_cast<int>(::send(fd_, bytes.data(), part, MSG_NOSIGNAL));
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  void hang() override {
    std::array<char, 4096> chunk;
    while (receive(chunk.data(), chunk.size()) > 0) {
    }
  }

  bool pause(std::chrono::milliseconds time) override {
    std::unique_lock lock(server_.mutex);
    return !server_.changed.wait_for(lock, time, [this] { return server_.stopping; });
  }

  ~Socket() override {
    if (ssl_) SSL_shutdown(ssl_.get());
  }

 private:
  long receive(char* to, std::size_t size) {
    if (ssl_) return SSL_read(ssl_.get(), to, static_cast<int>(size));
    return ::recv(fd_, to, size, 0);
  }

  Impl& server_;
  int fd_;
  std::unique_ptr<SSL, Freed> ssl_;
};

void ScriptedServer::Impl::serve(int fd, const Script& with) {
  {
    Socket socket(*this, fd);
    with(socket);
  }
  const std::lock_guard lock(mutex);
  sockets.remove(fd);
  ::close(fd);
}

int ScriptedServer::Impl::open_clients() const {
  return static_cast<int>(std::ranges::count_if(sockets, [](int fd) {
    pollfd gone{.fd = fd, .events = POLLRDHUP, .revents = 0};
    return ::poll(&gone, 1, 0) == 0;
  }));
}

void ScriptedServer::Impl::accept_all() {
  while (true) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex);
    if (stopping) {
      if (fd >= 0) ::close(fd);
      return;
    }
    if (fd < 0) continue;
    ++connections;
    sockets.push_back(fd);
    most_at_once = std::max(most_at_once, open_clients());
    threads.emplace_back([this, fd, with = script] { serve(fd, with); });
    changed.notify_all();
  }
}

ScriptedServer::ScriptedServer(Script script, std::optional<Certificate> certificate)
    : impl_(std::make_unique<Impl>()) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  impl_->script = std::move(script);
  if (certificate) impl_->context = make_context(*certificate);
  impl_->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(impl_->listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(impl_->listener, 64) != 0 ||
      ::getsockname(impl_->listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "scripted server");
  }
  impl_->port = ntohs(address.sin_port);
  impl_->acceptor = std::thread([this] { impl_->accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (const int fd : impl_->sockets)
      ::shutdown(fd, SHUT_RDWR);
    impl_->changed.notify_all();
  }
  ::shutdown(impl_->listener, SHUT_RDWR);
  impl_->acceptor.join();
  for (auto& thread : impl_->threads)
    thread.join();
  ::close(impl_->listener);
}

std::uint16_t ScriptedServer::port() const {
  return impl_->port;
}

void ScriptedServer::set_script(Script script) {
  const std::lock_guard lock(impl_->mutex);
  impl_->script = std::move(script);
}

int ScriptedServer::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections;
}

int ScriptedServer::most_at_once() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->most_at_once;
}

void ScriptedServer::wait_for_connections(int count) const {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [&] { return impl_->connections >= count; });
}

ScriptedServer::Script ScriptedServer::answer(std::string response) {
  return [response = std::move(response)](Connection& connection) {
    connection.read_request();
    connection.send(response);
  };
}

std::string ScriptedServer::response(std::string_view body, std::string_view status) {
  return "HTTP/1.1 " + std::string(status) +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + std::string(body);
}

}  // namespace lp::test
