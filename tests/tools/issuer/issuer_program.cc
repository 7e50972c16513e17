#include "tests/tools/issuer/issuer_program.h"

#include <signal.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/crypto/keys.h"

namespace lp::issuer::test {
namespace {

namespace json = boost::json;

/// The value of `name=` in the ready line; empty where it has none.
std::string field(const std::string& line, const std::string& name) {
  const std::size_t at = line.find(" " + name + "=");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 2;
  return line.substr(begin, line.find(' ', begin) - begin);
}

}  // namespace

bool long_run() {
  const char* const value = std::getenv("LP_TEST_LONG");
  return value != nullptr && std::string_view(value) == "1";
}

Finished lp_issuer(std::vector<std::string> args) {
  return lp::test::run({.program = lp::test::program("lp-issuer"), .args = std::move(args)});
}

std::string sign_body(std::uint64_t epoch, TicketType type,
                      const std::vector<crypto::G1Encoding>& points) {
  json::array blinded;
  for (const auto& point : points)
    blinded.emplace_back(to_base64(point));
  const std::string name(messages::name(type));
  return json::serialize(
      json::object{{"epoch_id", epoch}, {"ticket_type", name}, {"blinded", std::move(blinded)}});
}

crypto::G1Encoding fresh_point() {
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  return ecash::Withdrawal::start(gateway, TicketType::v1_wireguard_entry, 1).blinded();
}

std::vector<Bytes> signatures(const std::string& body) {
  std::vector<Bytes> all;
  const json::value parsed = json::parse(body);
  for (const auto& text : parsed.at("signatures").as_array())
    all.push_back(from_base64(std::string_view(text.as_string())).value());
  return all;
}

std::string error_of(const std::string& body) {
  return std::string(json::parse(body).at("error").as_string());
}

IssuerProgram IssuerProgram::ephemeral(std::vector<std::string> flags) {
  IssuerProgram issuer;
  flags.insert(flags.begin(), {"run", "--ephemeral", "--log-level", "warning"});
  issuer.launch(std::move(flags));
  return issuer;
}

IssuerProgram::IssuerProgram(const std::filesystem::path& data_dir,
                             std::vector<std::string> init_flags)
    : data_dir_(data_dir) {
  init_flags.insert(init_flags.begin(), {"init", "--data-dir", data_dir_.string()});
  const auto made = lp_issuer(std::move(init_flags));
  if (made.ended.code != 0) throw std::runtime_error(made.error_output);
  start();
}

void IssuerProgram::start(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"run", "--data-dir", data_dir_.string(), "--http-port", "0",
                               "--log-level", "warning"});
  launch(std::move(flags));
}

void IssuerProgram::launch(std::vector<std::string> args) {
  child_ = std::make_unique<Child>(
      lp::test::ChildOptions{.program = lp::test::program("lp-issuer"), .args = std::move(args)});
  ready_ = child_->read_line().value_or("");
  if (!ready_.starts_with("ready ")) {
    throw std::runtime_error("lp-issuer did not start: " + child_->error_output());
  }
  address_ = field(ready_, "http") + field(ready_, "https");
  contract_ = field(ready_, "contract");
  token_ = field(ready_, "token");
}

Ended IssuerProgram::stop() {
  child_->send_signal(SIGTERM);
  return child_->wait();
}

std::string IssuerProgram::add_token(std::vector<std::string> flags) const {
  flags.insert(flags.begin(), {"token", "add", "--data-dir", data_dir_.string()});
  const auto added = lp_issuer(std::move(flags));
  if (added.ended.code != 0) throw std::runtime_error(added.error_output);
  return added.output.substr(0, added.output.find('\n'));
}

std::int64_t IssuerProgram::used(int id) const {
  const auto list = lp_issuer({"token", "list", "--json", "--data-dir", data_dir_.string()});
  const json::value tokens = json::parse(list.output);
  for (const auto& token : tokens.as_array()) {
    if (token.at("id").as_int64() == id) return token.at("used").as_int64();
  }
  throw std::runtime_error("no such token in " + list.output);
}

net::Url IssuerProgram::url(const std::string& path) const {
  const bool tls = ready_.starts_with("ready https=");
  return net::Url::parse((tls ? "https://" : "http://") + address_ + path).value();
}

std::vector<net::ChainKey> IssuerProgram::keys() const {
  auto keys = net::fetch_verification_keys(url(), contract_);
  if (!keys) throw std::runtime_error(keys.error().detail);
  return *std::move(keys);
}

net::ChainKey IssuerProgram::newest_key(TicketType type) const {
  std::optional<net::ChainKey> newest;
  for (const auto& key : keys()) {
    if (key.type == type && (!newest || newest->expiry < key.expiry)) newest = key;
  }
  return newest.value();
}

std::expected<net::FetchResponse, net::FetchError> IssuerProgram::sign(
    const std::string& token, const std::string& body) const {
  net::FetchOptions options;
  options.deadline = std::chrono::seconds(30);
  options.bearer_token = token;
  return net::post_json(url("/v1/sign"), body, options);
}

unsigned IssuerProgram::sign_status(const std::string& token, const std::string& body) const {
  const auto response = sign(token, body);
  return response ? response->status : 0;
}

}  // namespace lp::issuer::test
