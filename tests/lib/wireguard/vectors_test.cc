// Our handshake against one that is not ours (tests/vectors/wireguard-noble.json).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>

#include "lib/base/encoding.h"
#include "tests/lib/wireguard/responder.h"

namespace lp::wireguard {
namespace {

namespace json = boost::json;

const json::object& vectors() {
  static const json::value value = [] {
    std::ifstream file(LP_TEST_VECTORS "/wireguard-noble.json");
    return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  }();
  return value.as_object();
}

Bytes bytes(const json::value& object, std::string_view key) {
  return from_hex(std::string_view(object.at(key).as_string())).value();
}

template <std::size_t N>
ByteArray<N> array(const json::value& object, std::string_view key) {
  const Bytes value = bytes(object, key);
  EXPECT_EQ(value.size(), N) << key;
  return to_array<N>(value);
}

crypto::X25519KeyPair pair(const json::value& object, std::string_view key) {
  const auto secret = array<32>(object, key);
  return crypto::X25519KeyPair::from_secret(crypto::X25519Secret(secret));
}

std::uint32_t index(const json::value& object, std::string_view key) {
  return object.at(key).to_number<std::uint32_t>();
}

Tai64n timestamp(const json::value& vector) {
  return to_tai64n(vector.at("unix_seconds").to_number<std::uint64_t>() * 1'000'000'000 +
                   vector.at("nanoseconds").to_number<std::uint64_t>());
}

Initiator make_initiator(const json::value& vector) {
  const auto preshared = array<32>(vector, "preshared");
  return {pair(vector, "initiator_static"), pair(vector, "responder_static").public_key,
          Secret<32>(preshared)};
}

Responder make_responder(const json::value& vector) {
  const auto preshared = array<32>(vector, "preshared");
  return Responder(pair(vector, "responder_static"), Secret<32>(preshared));
}

Message decoded(ByteView datagram) {
  auto message = decode(datagram);
  EXPECT_TRUE(message.has_value());
  return message.value_or(Message{});
}

/// The initiation that a vector's values give; with its cookie learned first, where it has one.
ByteArray<initiation_size> initiation_of(const json::value& vector, Initiator& initiator) {
  if (!vector.at("cookie").is_null()) {
    const auto first = initiator.initiate(1, crypto::X25519KeyPair::generate(), {}, start).value();
    const auto cookie = array<16>(vector, "cookie");
    const auto reply = make_responder(vector).write_cookie_reply(first, cookie);
    EXPECT_TRUE(initiator.read_cookie_reply(std::get<CookieReply>(decoded(reply)), start));
  }
  return initiator
      .initiate(index(vector, "initiator_index"), pair(vector, "initiator_ephemeral"),
                timestamp(vector), start)
      .value();
}

void expect_transport(const json::value& vector, std::string_view from, Session& sender,
                      Session& receiver) {
  std::size_t seen = 0;
  for (const auto& item : vector.at("transport").as_array()) {
    if (item.at("from").as_string() != from) continue;
    const auto packet = bytes(item, "packet");
    const auto datagram = bytes(item, "datagram");
    const auto counter = item.at("counter").to_number<std::uint64_t>();
    Bytes out;
    while (sender.sent() < counter)
      ASSERT_TRUE(sender.seal({}, start, out));
    ASSERT_TRUE(sender.seal(packet, start, out));
    EXPECT_EQ(out, datagram);
    Bytes opened;
    ASSERT_TRUE(receiver.open(std::get<Transport>(decoded(datagram)), start, opened));
    ASSERT_GE(opened.size(), packet.size());
    EXPECT_TRUE(std::equal(packet.begin(), packet.end(), opened.begin()));
    ++seen;
  }
  EXPECT_EQ(seen, 3u);
}

TEST(WireguardVectorsTest, EveryByteOfBothMessagesAndOfTransportIsTheOtherImplementations) {
  ASSERT_EQ(vectors().at("handshakes").as_array().size(), 3u);
  for (const auto& vector : vectors().at("handshakes").as_array()) {
    SCOPED_TRACE(vector.at("name").as_string().c_str());
    auto initiator = make_initiator(vector);
    const auto initiation = initiation_of(vector, initiator);
    EXPECT_EQ(to_hex(initiation), std::string_view(vector.at("initiation").as_string()));

    auto responder = make_responder(vector);
    ASSERT_TRUE(responder.read_initiation(initiation));
    EXPECT_EQ(to_hex(responder.timestamp()), std::string_view(vector.at("timestamp").as_string()));
    EXPECT_EQ(responder.initiator().bytes, array<32>(vector, "initiator_static_public"));
    const auto response = responder.write_response(index(vector, "responder_index"),
                                                   pair(vector, "responder_ephemeral"), start);
    ASSERT_TRUE(response);
    EXPECT_EQ(to_hex(*response), std::string_view(vector.at("response").as_string()));
    EXPECT_EQ(to_hex(responder.handshake_hash()),
              std::string_view(vector.at("handshake_hash").as_string()));

    // Read from the file, not from our responder.
    const auto recorded = bytes(vector, "response");
    auto session = initiator.read_response(std::get<Response>(decoded(recorded)));
    ASSERT_TRUE(session);
    expect_transport(vector, "initiator", *session, *responder.session());
    expect_transport(vector, "responder", *responder.session(), *session);
  }
}

TEST(WireguardVectorsTest, CookieOfTheOtherImplementationGoesIntoMac2) {
  for (const auto& reply : vectors().at("cookie_replies").as_array()) {
    for (const auto& vector : vectors().at("handshakes").as_array()) {
      if (vector.at("name") != reply.at("handshake")) continue;
      auto initiator = make_initiator(vector);
      (void)initiation_of(vector, initiator);
      const auto datagram = bytes(reply, "datagram");
      ASSERT_TRUE(initiator.read_cookie_reply(std::get<CookieReply>(decoded(datagram)), start));
      const auto next = initiator.initiate(7, crypto::X25519KeyPair::generate(), {}, start);
      EXPECT_TRUE(Responder::has_mac2(next.value(), array<16>(reply, "cookie")));
    }
  }
}

}  // namespace
}  // namespace lp::wireguard
