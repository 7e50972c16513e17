#include "probes/wallet/issuer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>

#include "lib/base/encoding.h"
#include "probes/client/socket.h"

namespace lp::probe::wallet {
namespace {

namespace json = boost::json;
using net::FetchError;

constexpr std::size_t max_token_size = 4096;
/// A signature is 64 characters of base64, its quotes and its comma; the rest is for an error.
constexpr std::size_t max_answer = 64UL * 1024;
constexpr std::size_t max_json_depth = 8;

std::unexpected<ProbeError> refused(ProbeCode code, std::string detail) {
  return fail(Stage::resolve, code, std::move(detail));
}

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

ProbeCode chain_code(net::ChainError::Kind kind) {
  using Kind = net::ChainError::Kind;
  switch (kind) {
    case Kind::unreachable:
    case Kind::tls:
      return ProbeCode::chain_unreachable;
    case Kind::timeout:
      return ProbeCode::chain_timeout;
    case Kind::cancelled:
      return ProbeCode::interrupted;
    case Kind::http_status:
    case Kind::too_large:
    case Kind::malformed:
      break;
  }
  return ProbeCode::chain_invalid;
}

ProbeCode issuer_code(FetchError::Kind kind) {
  using Kind = FetchError::Kind;
  switch (kind) {
    case Kind::timeout:
      return ProbeCode::issuer_timeout;
    case Kind::cancelled:
      return ProbeCode::interrupted;
    case Kind::too_large:
    case Kind::malformed:
      return ProbeCode::issuer_invalid;
    case Kind::resolve:
    case Kind::refused:
    case Kind::tls:
    case Kind::closed:
      break;
  }
  return ProbeCode::issuer_unreachable;
}

ProbeCode issuer_code(unsigned status) {
  switch (status) {
    case 401:
    case 403:
      return ProbeCode::issuer_token_rejected;
    case 429:
      return ProbeCode::issuer_allowance;
    default:
      break;
  }
  if (status / 100 == 5) return ProbeCode::issuer_unreachable;
  return status / 100 == 4 ? ProbeCode::issuer_refused : ProbeCode::issuer_invalid;
}

net::FetchOptions fetch_options(const Source& source) {
  net::FetchOptions options;
  options.deadline = source.limit;
  options.user_agent = "lp-probe";
  options.cancel_fd = source.cancel_fd;
  return options;
}

std::string sign_body(std::uint64_t epoch_id, messages::TicketType type,
                      std::span<const crypto::G1Encoding> blinded) {
  json::array points;
  for (const auto& point : blinded) {
    points.emplace_back(to_base64(point));
  }
  const json::object body{{"epoch_id", epoch_id},
                          {"ticket_type", view(messages::name(type))},
                          {"blinded", std::move(points)}};
  return json::serialize(body);
}

/// Nothing where the text is no JSON object.
std::optional<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = max_json_depth;
  boost::system::error_code error;
  auto value = json::parse(view(text), error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

/// What the issuer says of itself in a refusal, for people.
std::string explanation(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return {};
  std::string text;
  for (const auto* member : {"error", "message"}) {
    const auto* value = object->if_contains(member);
    if (value == nullptr || !value->is_string()) continue;
    const auto& said = value->get_string();
    text += fmt::format(": {}", printable({said.data(), said.size()}));
  }
  return text;
}

std::expected<std::vector<Bytes>, std::string> parse_signatures(std::string_view body,
                                                                std::size_t wanted) {
  const auto object = parse_object(body);
  if (!object) return std::unexpected("is no JSON object");
  const auto* list = object->if_contains("signatures");
  if (list == nullptr || !list->is_array()) return std::unexpected("has no list 'signatures'");
  const auto& array = list->get_array();
  if (array.size() != wanted) {
    return std::unexpected(fmt::format("has {} signatures for {} points", array.size(), wanted));
  }
  std::vector<Bytes> signatures;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const auto* text = array[i].if_string();
    auto bytes = text == nullptr ? Result<Bytes>(lp::fail(Error::base64_invalid))
                                 : from_base64({text->data(), text->size()});
    if (!bytes) return std::unexpected(fmt::format("has a signature {} that is no base64", i));
    signatures.push_back(std::move(*bytes));
  }
  return signatures;
}

Outcome<std::string> read_whole(int fd, const std::string& path) {
  std::string text;
  std::array<char, 512> chunk;
  while (text.size() <= max_token_size) {
    const auto size = read(fd, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      return refused(ProbeCode::issuer_token_unreadable,
                     fmt::format("{}: {}", printable(path), client::errno_text(errno)));
    }
    if (size == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return refused(ProbeCode::issuer_token_unreadable,
                 fmt::format("{}: more than {} bytes", printable(path), max_token_size));
}

/// False where the call is cancelled meanwhile.
bool rest(std::chrono::milliseconds time, int cancel_fd) {
  pollfd cancel{.fd = cancel_fd, .events = POLLIN, .revents = 0};  // -1 is passed over
  return ::poll(&cancel, 1, static_cast<int>(time.count())) == 0;
}

/// A server that says when to come again is asked again, within the deadline of the whole. The same
/// points cost nothing a second time.
std::expected<net::FetchResponse, FetchError> post_until_served(const net::Url& url,
                                                                const std::string& body,
                                                                net::FetchOptions options) {
  using std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;
  constexpr milliseconds least{100};  // whatever the server says
  const auto end = Clock::now() + options.deadline;
  for (;;) {
    auto response = net::post_json(url, body, options);
    if (!response || response->status != 503 || !response->retry_after) return response;
    const auto wait = std::max<milliseconds>(*response->retry_after, least);
    if (Clock::now() + wait >= end) return response;
    if (!rest(wait, options.cancel_fd)) {
      return std::unexpected(FetchError{FetchError::Kind::cancelled, url.to_string()});
    }
    options.deadline = std::chrono::duration_cast<milliseconds>(end - Clock::now());
  }
}

}  // namespace

Outcome<std::vector<net::ChainKey>> ask_chain(const Source& source) {
  auto keys = net::fetch_verification_keys(source.chain, source.contract, fetch_options(source));
  if (!keys) return refused(chain_code(keys.error().kind), printable(keys.error().detail, 400));
  return std::move(*keys);
}

Outcome<net::ChainKey> choose_key(const std::vector<net::ChainKey>& keys, messages::TicketType type,
                                  UnixSeconds now) {
  const net::ChainKey* chosen = nullptr;
  for (const auto& key : keys) {
    if (key.type != type || now >= key.expiry) continue;
    if (chosen == nullptr || key.expiry > chosen->expiry) chosen = &key;
  }
  if (chosen != nullptr) return *chosen;
  const auto expired =
      std::ranges::count_if(keys, [&](const net::ChainKey& key) { return key.type == type; });
  return refused(ProbeCode::no_verification_key,
                 fmt::format("of {} keys none is for {}{}", keys.size(), messages::name(type),
                             expired > 0 ? " and has not expired" : ""));
}

Outcome<std::string> read_token(const std::string& path) {
  const client::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info{};
  if (!file.valid() || fstat(file.get(), &info) != 0) {
    return refused(ProbeCode::issuer_token_unreadable,
                   fmt::format("{}: {}", printable(path), client::errno_text(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return refused(ProbeCode::issuer_token_unreadable,
                   fmt::format("{}: is no regular file", printable(path)));
  }
  if ((info.st_mode & 077U) != 0) {
    return refused(ProbeCode::issuer_token_exposed,
                   fmt::format("{}: has mode {:04o}", printable(path), info.st_mode & 07777U));
  }
  auto text = read_whole(file.get(), path);
  if (!text) return text;
  constexpr std::string_view blank = " \t\r\n";
  const auto begin = text->find_first_not_of(blank);
  const auto end = text->find_last_not_of(blank);
  if (begin == std::string::npos) {
    return refused(ProbeCode::issuer_token_unreadable,
                   fmt::format("{}: is empty", printable(path)));
  }
  auto token = text->substr(begin, end - begin + 1);
  const bool visible = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!visible) {
    return refused(ProbeCode::issuer_token_unreadable,
                   fmt::format("{}: is not one line of printable ASCII", printable(path)));
  }
  return token;
}

Outcome<std::vector<Bytes>> ask_issuer(const Source& source, std::uint64_t epoch_id,
                                       messages::TicketType type,
                                       std::span<const crypto::G1Encoding> blinded) {
  auto token = read_token(source.token_file);
  if (!token) return std::unexpected(std::move(token.error()));
  auto options = fetch_options(source);
  options.bearer_token = std::move(*token);
  options.max_body = max_answer;
  auto url = source.issuer;
  while (url.path.ends_with('/'))
    url.path.pop_back();
  url.path += "/v1/sign";
  const auto response =
      post_until_served(url, sign_body(epoch_id, type, blinded), std::move(options));
  const auto where = printable(source.issuer.to_string());
  if (!response) {
    return refused(issuer_code(response.error().kind), printable(response.error().detail, 400));
  }
  if (response->status != 200) {
    return refused(
        issuer_code(response->status),
        fmt::format("{}: answered {}{}", where, response->status, explanation(response->body)));
  }
  auto signatures = parse_signatures(response->body, blinded.size());
  if (!signatures) {
    return refused(ProbeCode::issuer_invalid,
                   fmt::format("{}: the answer {}", where, signatures.error()));
  }
  return std::move(*signatures);
}

}  // namespace lp::probe::wallet
