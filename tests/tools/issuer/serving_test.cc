// What the real issuer answers to clients that keep to the rules, or nearly.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <map>
#include <set>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/random.h"
#include "tests/lib/net/certificates.h"
#include "tests/tools/issuer/issuer_program.h"

namespace lp::issuer::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto entry = TicketType::v1_wireguard_entry;

class Serving : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  TempDir dir_;
};

TEST_F(Serving, WithdrawnTicketHoldsUnderTheChainsKey) {
  const auto issuer = IssuerProgram::ephemeral();
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  for (const auto& key : issuer.keys()) {
    const auto withdrawal = ecash::Withdrawal::start(gateway, key.type, key.expiry);
    const auto response =
        issuer.sign(issuer.token(), sign_body(key.epoch_id, key.type, {withdrawal.blinded()}));
    ASSERT_TRUE(response) << response.error().detail;
    ASSERT_EQ(response->status, 200U) << response->body;
    const auto signed_points = signatures(response->body);
    ASSERT_EQ(signed_points.size(), 1U);
    const ecash::VerificationKey verification(key.public_key);
    const auto credential = withdrawal.finish(signed_points[0], verification);
    ASSERT_TRUE(credential) << gloss(credential.error());
    EXPECT_TRUE(verification.verify(withdrawal.message(), credential->signature));
  }
}

TEST_F(Serving, FullRequestIsSignedInItsOrder) {
  const auto issuer = IssuerProgram::ephemeral();
  const auto key = issuer.newest_key();
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  std::vector<ecash::Withdrawal> withdrawals;
  std::vector<crypto::G1Encoding> points;
  for (int i = 0; i < 64; ++i) {
    withdrawals.push_back(ecash::Withdrawal::start(gateway, key.type, key.expiry));
    points.push_back(withdrawals.back().blinded());
  }
  const auto response = issuer.sign(issuer.token(), sign_body(key.epoch_id, key.type, points));
  ASSERT_TRUE(response);
  ASSERT_EQ(response->status, 200U) << response->body;
  const auto signed_points = signatures(response->body);
  ASSERT_EQ(signed_points.size(), points.size());
  const ecash::VerificationKey verification(key.public_key);
  for (std::size_t i = 0; i < points.size(); ++i)
    EXPECT_TRUE(withdrawals[i].finish(signed_points[i], verification)) << i;
  points.push_back(fresh_point());
  const auto longer = issuer.sign(issuer.token(), sign_body(key.epoch_id, key.type, points));
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->status, 400U);
  EXPECT_THAT(longer->body, HasSubstr("64 are the most"));
}

TEST_F(Serving, RepeatedPointGivesTheSameSignatureWithoutAChargeAlsoAfterARestart) {
  IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "2"});
  const auto key = issuer.newest_key();
  const std::string body = sign_body(key.epoch_id, key.type, {fresh_point(), fresh_point()});
  const auto first = issuer.sign(token, body);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->status, 200U) << first->body;
  EXPECT_EQ(issuer.sign(token, body).value().body, first->body);
  EXPECT_EQ(issuer.stop().code, 0);
  issuer.start();
  EXPECT_EQ(issuer.sign(token, body).value().body, first->body);
  EXPECT_EQ(issuer.used(), 2);
  EXPECT_EQ(issuer.sign_status(token, sign_body(key.epoch_id, key.type, {fresh_point()})), 429U);
  EXPECT_EQ(issuer.used(), 2);
}

TEST_F(Serving, EveryRefusalHasItsStatusAndChargesNothing) {
  const IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "1", "--label", "a"});
  const auto key = issuer.newest_key();
  const auto refusal = [&](const std::string& with, const std::string& body) {
    const auto response = issuer.sign(with, body);
    if (!response) return std::string("no answer: ") + response.error().detail;
    return std::to_string(response->status) + " " + error_of(response->body);
  };
  const std::string good = sign_body(key.epoch_id, entry, {fresh_point()});
  EXPECT_EQ(refusal("", good), "401 unauthorised");
  EXPECT_EQ(refusal("lpi_unknown", good), "401 unauthorised");
  EXPECT_EQ(refusal("lpi_unknown", "{"), "401 unauthorised");
  EXPECT_EQ(refusal(token, "{"), "400 malformed");
  EXPECT_EQ(refusal(token, ""), "400 malformed");
  EXPECT_EQ(refusal(token, sign_body(999, entry, {fresh_point()})), "409 epoch_unknown");
  EXPECT_EQ(refusal(token, sign_body(key.epoch_id, entry, {fresh_point(), fresh_point()})),
            "429 allowance_used_up");
  EXPECT_EQ(issuer.used(), 0);
  EXPECT_EQ(issuer.sign_status(token, good), 200U);
  const auto revoked =
      lp_issuer({"token", "revoke", "1", "--data-dir", issuer.data_dir().string()});
  EXPECT_EQ(revoked.ended.code, 0) << revoked.error_output;
  EXPECT_EQ(refusal(token, good), "401 unauthorised");
}

TEST_F(Serving, BadPointIsNamedWithItsIndexAndNoneIsSigned) {
  const IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "10"});
  const auto key = issuer.newest_key();
  crypto::G1Encoding uncompressed = fresh_point();
  uncompressed[0] &= 0x7f;
  crypto::G1Encoding infinity{};
  infinity[0] = 0xc0;
  crypto::G1Encoding beyond_modulus;
  beyond_modulus.fill(0xff);
  beyond_modulus[0] = 0x9f;
  crypto::G1Encoding off_curve{};
  off_curve[0] = 0x80;
  off_curve[47] = 1;  // x = 1: 1 + 4 is no square
  crypto::G1Encoding outside{};
  outside[0] = 0x80;  // x = 0: a point of order 3
  const std::vector<std::pair<std::string, crypto::G1Encoding>> bad{
      {"point_flags", uncompressed},           {"point_infinity", infinity},
      {"point_not_canonical", beyond_modulus}, {"point_not_on_curve", off_curve},
      {"point_not_in_subgroup", outside},
  };
  for (const auto& [error, point] : bad) {
    const auto response =
        issuer.sign(token, sign_body(key.epoch_id, entry, {fresh_point(), point, fresh_point()}));
    ASSERT_TRUE(response) << error;
    EXPECT_EQ(response->status, 400U) << error;
    const auto body = boost::json::parse(response->body);
    EXPECT_EQ(body.at("error").as_string(), error);
    EXPECT_EQ(body.at("index").as_int64(), 1) << error;
    EXPECT_THAT(response->body, Not(HasSubstr("signatures"))) << error;
  }
  const auto text = [&](const std::string& point) {
    return R"({"epoch_id":)" + std::to_string(key.epoch_id) +
           R"(,"ticket_type":"V1WireguardEntry","blinded":[")" + point + R"("]})";
  };
  EXPECT_EQ(error_of(issuer.sign(token, text("AAAA")).value().body), "point_size");
  EXPECT_EQ(error_of(issuer.sign(token, text("")).value().body), "point_size");
  EXPECT_EQ(error_of(issuer.sign(token, text("?")).value().body), "base64_invalid");
  EXPECT_EQ(issuer.used(), 0);
}

TEST_F(Serving, ChainAnswersForItsContractAlone) {
  const auto issuer = IssuerProgram::ephemeral({"--contract", "n1abc"});
  EXPECT_EQ(issuer.contract(), "n1abc");
  const auto other = net::fetch_verification_keys(issuer.url(), "n1abd");
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().detail, HasSubstr("404"));
  const auto status = [&](const std::string& path) {
    return net::get(issuer.url(path)).value().status;
  };
  const std::string base = "/cosmwasm/wasm/v1/contract/n1abc/smart/";
  EXPECT_EQ(status(base + "eyJ2ZXJpZmljYXRpb25fa2V5cyI6e319"), 200U);
  EXPECT_EQ(status(base + "eyJvdGhlciI6e319"), 400U);
  EXPECT_EQ(status(base), 400U);
  EXPECT_EQ(status("/"), 404U);
  EXPECT_EQ(status("/v1/sign"), 405U);
  EXPECT_EQ(
      net::post_json(issuer.url(base + "eyJ2ZXJpZmljYXRpb25fa2V5cyI6e319"), "{}").value().status,
      405U);
  EXPECT_EQ(status("/healthz"), 200U);
  EXPECT_THAT(net::get(issuer.url("/metrics")).value().body,
              HasSubstr("lp_issuer_requests_total{route=\"smart_query\",status=\"400\"} 2\n"));
}

TEST_F(Serving, KeysOfTheChainAreThoseOfTheCommand) {
  const IssuerProgram issuer(dir_ / "issuer", {"--epoch-length", "1h"});
  const auto rotated = lp_issuer({"keys", "rotate", "--data-dir", issuer.data_dir().string()});
  ASSERT_EQ(rotated.ended.code, 0) << rotated.error_output;
  EXPECT_THAT(rotated.output, testing::StartsWith("epoch 3 expires "));
  const auto listed = lp_issuer({"keys", "--json", "--data-dir", issuer.data_dir().string()});
  const auto rows = boost::json::parse(listed.output).at("keys").as_array();
  const auto keys = issuer.keys();
  ASSERT_EQ(keys.size(), 12U);
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(rows[i].at("public_key").as_string(), to_base64(keys[i].public_key.encode()));
    EXPECT_EQ(keys[i].expiry % 3600, 0U);
  }
}

TEST_F(Serving, KeysRotateWhileItRuns) {
  const auto issuer = IssuerProgram::ephemeral({"--epoch-length", "1s", "--retention", "0s"});
  const auto first = issuer.keys();
  std::vector<net::ChainKey> last = first;
  // Epochs of a second: the keys that are asked for again and again are soon others.
  const auto limit = std::chrono::steady_clock::now() + lp::test::patience;
  while (last.back().epoch_id < first.back().epoch_id + 3 &&
         std::chrono::steady_clock::now() < limit) {
    last = issuer.keys();
  }
  ASSERT_GE(last.back().epoch_id, first.back().epoch_id + 3);
  EXPECT_LE(last.size(), 8U);
  EXPECT_EQ(
      issuer.sign_status(issuer.token(), sign_body(first.front().epoch_id, entry, {fresh_point()})),
      409U);
}

TEST_F(Serving, TokenIsInTheFileAsItsHashAlone) {
  IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "1", "--label", "somebody"});
  const auto key = issuer.newest_key();
  ASSERT_EQ(issuer.sign_status(token, sign_body(key.epoch_id, entry, {fresh_point()})), 200U);
  const auto hash =
      crypto::sha256({reinterpret_cast<const std::uint8_t*>(token.data()), token.size()});
  const std::string stored(reinterpret_cast<const char*>(hash.data()), hash.size());
  std::string everything;
  for (const auto& file : std::filesystem::directory_iterator(issuer.data_dir())) {
    everything += lp::test::read_file(file.path());
    struct stat status{};
    ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << file.path();
  }
  EXPECT_THAT(everything, HasSubstr(stored));
  EXPECT_THAT(everything, HasSubstr("somebody"));
  EXPECT_THAT(everything, Not(HasSubstr(token)));
  EXPECT_THAT(everything, Not(HasSubstr(token.substr(4))));
  EXPECT_THAT(issuer.child().error_output(), Not(HasSubstr(token.substr(4))));
}

TEST_F(Serving, ClientsAtOnceShareAnAllowanceExactlyAndNoneIsTurnedAway) {
  const IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "100"});
  const auto key = issuer.newest_key();
  constexpr std::size_t clients = 32;
  constexpr std::size_t each = 4;
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < clients * each; ++i)
    bodies.push_back(sign_body(key.epoch_id, entry, {fresh_point()}));
  std::vector<std::string> outcomes(bodies.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t j = i * each; j < (i + 1) * each; ++j) {
        const auto response = issuer.sign(token, bodies[j]);
        outcomes[j] = response ? std::to_string(response->status) : response.error().detail;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  std::map<std::string, int> counts;
  for (const auto& outcome : outcomes)
    ++counts[outcome];
  EXPECT_EQ(counts, (std::map<std::string, int>{{"200", 100}, {"429", 28}}));
  EXPECT_EQ(issuer.used(), 100);
}

TEST_F(Serving, ClientsAtOnceWithOnePointPayOnceAndGetOneSignature) {
  const IssuerProgram issuer(dir_ / "issuer");
  const std::string token = issuer.add_token({"--tickets", "1"});
  const auto key = issuer.newest_key();
  const std::string body = sign_body(key.epoch_id, entry, {fresh_point()});
  std::array<std::string, 32> answers;
  std::vector<std::thread> threads;
  for (auto& answer : answers) {
    threads.emplace_back([&] {
      const auto response = issuer.sign(token, body);
      answer = response ? response->body : response.error().detail;
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(signatures(answers[0]).size(), 1U);
  EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), 1U);
  EXPECT_EQ(issuer.used(), 1);
}

TEST_F(Serving, TlsServesWhoTrustsItsCertificateAndNobodyInTheClear) {
  const lp::test::CertificateAuthority authority;
  const auto certificate = authority.issue("DNS:localhost,IP:127.0.0.1");
  lp::test::write_file(dir_ / "ca.pem", authority.pem());
  lp::test::write_file(dir_ / "cert.pem", certificate.certificate);
  lp::test::write_file(dir_ / "key.pem", certificate.key, 0600);
  const auto issuer = IssuerProgram::ephemeral(
      {"--tls-cert", (dir_ / "cert.pem").string(), "--tls-key", (dir_ / "key.pem").string()});
  EXPECT_THAT(issuer.ready_line(), testing::StartsWith("ready https=127.0.0.1:"));
  net::FetchOptions options;
  options.ca_file = (dir_ / "ca.pem").string();
  const auto keys = net::fetch_verification_keys(issuer.url(), issuer.contract(), options);
  ASSERT_TRUE(keys) << keys.error().detail;
  options.bearer_token = issuer.token();
  const auto response = net::post_json(
      issuer.url("/v1/sign"), sign_body(keys->front().epoch_id, entry, {fresh_point()}), options);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->status, 200U) << response->body;
  const auto untrusted = net::get(issuer.url("/healthz"));
  ASSERT_FALSE(untrusted);
  EXPECT_EQ(untrusted.error().kind, net::FetchError::Kind::tls);
  net::Url clear = issuer.url("/healthz");
  clear.tls = false;
  EXPECT_FALSE(net::get(clear));
  EXPECT_TRUE(net::get(issuer.url("/healthz"), options));
}

}  // namespace
}  // namespace lp::issuer::test
