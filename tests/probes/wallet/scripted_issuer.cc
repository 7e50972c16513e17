#include "tests/probes/wallet/scripted_issuer.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>

#include "lib/base/encoding.h"

namespace lp::test {
namespace {

namespace json = boost::json;

struct Key {
  std::uint64_t epoch_id = 0;
  messages::TicketType type{};
  UnixSeconds expiry = 0;
  ecash::IssuerKey key;
};

std::string answer(unsigned status, const std::string& body, const std::string& header = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Text\r\nContent-Type: application/json\r\n" +
         header + "Content-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

const std::string redirection = answer(302, "", "Location: http://127.0.0.1:1/\r\n");

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

struct ScriptedIssuer::Impl {
  mutable std::mutex mutex;
  IssuerFault issuer_fault = IssuerFault::none;
  ChainFault chain_fault = ChainFault::none;
  std::vector<Key> keys;
  ecash::IssuerKey other_key = ecash::IssuerKey::generate();
  std::set<crypto::G1Encoding> debited;
  std::size_t requests = 0;
  std::uint64_t closed_epoch = 0;
  std::string seen;

  int listener = -1;
  int stop = -1;
  std::uint16_t port = 0;
  std::thread thread;
  std::vector<int> silent;  // connections that get no answer, kept open

  [[nodiscard]] bool wait(int fd) const {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stop, POLLIN, 0}};
    while (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno != EINTR) return false;
    }
    return fds[1].revents == 0;
  }

  void serve() {
    while (wait(listener)) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const auto text = respond(read_request(fd));
      if (text == "silence") {
        silent.push_back(fd);
        continue;
      }
      for (std::size_t sent = 0; sent < text.size();) {
        const auto size = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (size < 0) break;
        sent += static_cast<std::size_t>(size);
      }
      close(fd);
    }
  }

  /// Up to the end of the body, or what came before the connection ended.
  std::string read_request(int fd) const {
    std::string request;
    std::array<char, 4096> chunk;
    std::size_t wanted = std::string::npos;
    while (request.size() < wanted && wait(fd)) {
      const auto size = recv(fd, chunk.data(), chunk.size(), 0);
      if (size <= 0) return {};
      request.append(chunk.data(), static_cast<std::size_t>(size));
      const auto end = request.find("\r\n\r\n");
      if (wanted != std::string::npos || end == std::string::npos) continue;
      const auto length = request.find("Content-Length: ");
      wanted = end + 4;
      if (length < end) wanted += std::stoul(request.substr(length + 16));
    }
    return request;
  }

  std::string respond(const std::string& request) {
    const std::lock_guard lock(mutex);
    seen += request;
    if (request.empty()) return {};
    const std::string smart = std::string("GET /cosmwasm/wasm/v1/contract/") + contract + "/smart/";
    if (request.starts_with(smart)) return chain();
    if (request.starts_with("POST /v1/sign ")) return sign(request);
    return answer(404, "{}");
  }

  std::string chain() const {
    switch (chain_fault) {
      case ChainFault::junk:
        return answer(200, "no JSON");
      case ChainFault::huge:
        return answer(200, std::string(2'000'000, ' '));
      case ChainFault::silence:
        return "silence";
      case ChainFault::server_error:
        return answer(500, "{}");
      case ChainFault::redirect:
        return redirection;
      default:
        break;
    }
    json::array list;
    for (const auto& key : keys) {
      if (chain_fault == ChainFault::no_keys) continue;
      if (chain_fault == ChainFault::other_types && messages::is_wireguard(key.type)) continue;
      auto public_key = key.key.public_key().encode();
      if (chain_fault == ChainFault::bad_key) public_key.fill(0xff);
      const json::object entry{
          {"epoch_id", key.epoch_id},
          {"ticket_type", view(messages::name(key.type))},
          {"expiry", chain_fault == ChainFault::expired_keys ? 1'000'000 : key.expiry},
          {"public_key", to_base64(public_key)}};
      list.push_back(entry);
      if (chain_fault == ChainFault::twice) list.push_back(entry);
    }
    return answer(200, json::serialize(json::object{{"data", json::object{{"keys", list}}}}));
  }

  std::string sign(const std::string& request) {
    ++requests;
    switch (issuer_fault) {
      case IssuerFault::bad_request:
        return answer(400, R"({"error":"no \u001b[31msuch epoch"})");
      case IssuerFault::unauthorised:
        return answer(401, "");
      case IssuerFault::conflict:
        return answer(409, "{}");
      case IssuerFault::too_many:
        return answer(429, "{}");
      case IssuerFault::server_error:
        return answer(503, "");
      case IssuerFault::busy_once:
        if (requests % 2 == 1) return answer(503, "", "Retry-After: 0\r\n");
        break;
      case IssuerFault::busy:
        return answer(503, "", "Retry-After: 3600\r\n");
      case IssuerFault::redirect:
        return redirection;
      default:
        break;
    }
    if (request.find(std::string("Authorization: Bearer ") + token + "\r\n") == std::string::npos) {
      return answer(401, "{}");
    }
    boost::system::error_code error;
    const auto body = json::parse(request.substr(request.find("\r\n\r\n") + 4), error);
    if (error) return answer(400, "{}");
    return signatures(body.as_object());
  }

  std::string signatures(const json::object& body) {
    const auto name = body.at("ticket_type").as_string();
    const auto type = messages::ticket_type_from_name({name.data(), name.size()});
    const auto epoch = body.at("epoch_id").to_number<std::uint64_t>();
    const Key* key = nullptr;
    for (const auto& candidate : keys) {
      if (candidate.type == type && candidate.epoch_id == epoch) key = &candidate;
    }
    if (key == nullptr) return answer(400, R"({"error":"no such key"})");
    if (epoch == closed_epoch) return answer(409, R"({"error":"epoch_expired"})");
    json::array list;
    for (const auto& item : body.at("blinded").as_array()) {
      const auto& text = item.as_string();
      const auto bytes = from_base64({text.data(), text.size()});
      const auto point = bytes ? crypto::G1Point::decode(*bytes) : fail(bytes.error());
      if (!point) return answer(400, R"({"error":"no point"})");
      debited.insert(point->encode());
      list.push_back(signature(*key, *point, list.size()));
    }
    return finish(std::move(list));
  }

  json::string signature(const Key& key, const crypto::G1Point& point, std::size_t index) const {
    switch (issuer_fault) {
      case IssuerFault::other_key:
        return json::string(to_base64(other_key.sign(point).encode()));
      case IssuerFault::second_other_key:
        if (index % 2 == 1) return json::string(to_base64(other_key.sign(point).encode()));
        break;
      case IssuerFault::not_in_subgroup:
        return json::string(to_base64(bad_point(Error::point_not_in_subgroup)));
      case IssuerFault::not_on_curve:
        return json::string(to_base64(bad_point(Error::point_not_on_curve)));
      case IssuerFault::infinity: {
        crypto::G1Encoding infinity{};
        infinity[0] = 0xc0;
        return json::string(to_base64(infinity));
      }
      case IssuerFault::no_point:
        return json::string(to_base64(Bytes(47, 0x80)));
      case IssuerFault::no_base64:
        return "!";
      default:
        break;
    }
    return json::string(to_base64(key.key.sign(point).encode()));
  }

  std::string finish(json::array list) const {
    switch (issuer_fault) {
      case IssuerFault::lost_answer:
        return {};
      case IssuerFault::silence:
        return "silence";
      case IssuerFault::no_http:
        return "220 mail.example ESMTP\r\n";
      case IssuerFault::junk:
        return answer(200, "{\"signatures\":");
      case IssuerFault::deep:
        return answer(200, std::string(1000, '[') + std::string(1000, ']'));
      case IssuerFault::huge:
        return answer(200, "{\"signatures\":[" + std::string(1'000'000, ' ') + "]}");
      case IssuerFault::no_list:
        return answer(200, "{\"signatures\":{}}");
      case IssuerFault::one_too_few:
        list.pop_back();
        break;
      case IssuerFault::one_too_many:
        list.push_back(list.front());
        break;
      default:
        break;
    }
    return answer(200, json::serialize(json::object{{"signatures", std::move(list)}}));
  }
};

ScriptedIssuer::ScriptedIssuer(UnixSeconds expiry) : impl_(std::make_unique<Impl>()) {
  for (std::uint32_t type = 0; type < messages::ticket_type_count; ++type) {
    impl_->keys.push_back(
        {7, static_cast<messages::TicketType>(type), expiry, ecash::IssuerKey::generate()});
  }
  impl_->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  impl_->stop = eventfd(0, EFD_CLOEXEC);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  auto* name = reinterpret_cast<sockaddr*>(&in);
  if (impl_->listener < 0 || impl_->stop < 0 || bind(impl_->listener, name, size) != 0 ||
      listen(impl_->listener, 64) != 0 || getsockname(impl_->listener, name, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "ScriptedIssuer");
  }
  impl_->port = ntohs(in.sin_port);
  impl_->thread = std::thread([this] { impl_->serve(); });
}

ScriptedIssuer::~ScriptedIssuer() {
  const std::uint64_t one = 1;
  if (write(impl_->stop, &one, sizeof one) < 0) std::terminate();
  impl_->thread.join();
  for (const int fd : impl_->silent)
    close(fd);
  close(impl_->listener);
  close(impl_->stop);
}

void ScriptedIssuer::set(IssuerFault fault) {
  const std::lock_guard lock(impl_->mutex);
  impl_->issuer_fault = fault;
}

void ScriptedIssuer::set(ChainFault fault) {
  const std::lock_guard lock(impl_->mutex);
  impl_->chain_fault = fault;
}

void ScriptedIssuer::add_key(messages::TicketType type, UnixSeconds expiry) {
  const std::lock_guard lock(impl_->mutex);
  impl_->keys.push_back({8, type, expiry, ecash::IssuerKey::generate()});
}

void ScriptedIssuer::close_epoch(std::uint64_t epoch_id) {
  const std::lock_guard lock(impl_->mutex);
  impl_->closed_epoch = epoch_id;
}

std::string ScriptedIssuer::url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port);
}

ecash::PublicKey ScriptedIssuer::public_key(messages::TicketType type) const {
  return impl_->keys.at(static_cast<std::size_t>(type)).key.public_key();
}

std::set<crypto::G1Encoding> ScriptedIssuer::debited() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->debited;
}

std::size_t ScriptedIssuer::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}

std::string ScriptedIssuer::seen() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->seen;
}

crypto::G1Encoding bad_point(Error error) {
  // Half of all small x are on the curve, and hardly any of those are in the subgroup.
  for (unsigned x = 1; x < 1000; ++x) {
    crypto::G1Encoding encoding{};
    encoding[0] = 0x80;
    store_be(encoding.data() + encoding.size() - 4, static_cast<std::uint32_t>(x));
    const auto point = crypto::G1Point::decode(encoding);
    if (!point && point.error() == error) return encoding;
  }
  throw std::logic_error("bad_point");
}

}  // namespace lp::test
