// The backend of the kernel's WireGuard against a scripted kernel. The bytes expected here are
// written out from linux/netlink.h, linux/genetlink.h and linux/wireguard.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>

#include "gateway/config/log.h"
#include "gateway/wireguard/device.h"
#include "tests/gateway/wireguard/scripted_backend.h"
#include "tests/gateway/wireguard/scripted_kernel.h"

namespace lp::gateway::wireguard {
namespace {

using namespace std::chrono_literals;
using test::operator+;
using test::numbered_key;
using test::numbered_peer;
using test::ScriptedKernel;
using test::Wire;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Kind = WireguardError::Kind;

constexpr std::uint16_t family = 29;
const Bytes zeros(32, 0);
const Bytes ones(32, 0xff);
const Bytes preshared_key(32, 0xab);

Bytes clamped_key() {
  Bytes key(32, 0xff);
  key.front() = 0xf8;
  key.back() = 0x7f;
  return key;
}

DeviceConfig config(bool with_preshared_key) {
  DeviceConfig config{.interface = "lptest", .private_key = {}, .listen_port = 51822};
  std::ranges::copy(ones, config.private_key.mutable_bytes().begin());
  if (with_preshared_key) {
    config.preshared_key.emplace();
    std::ranges::copy(preshared_key, config.preshared_key->mutable_bytes().begin());
  }
  return config;
}

/// struct genlmsghdr: command, version, reserved.
Wire generic(std::uint8_t command) {
  Wire wire;
  return wire.put(command).put(std::uint8_t{1}).put(std::uint16_t{0});
}

Bytes acknowledgement(const Bytes& request, int error = 0) {
  // struct nlmsgerr: the error, and the header it is about.
  Wire payload;
  payload.put(error).put_bytes(ByteView(request).first(16));
  return test::message(NLMSG_ERROR, 0, test::sequence_of(request), payload);
}

Bytes done(const Bytes& request, int error = 0, std::uint16_t flags = NLM_F_MULTI) {
  return test::message(NLMSG_DONE, flags, test::sequence_of(request), Wire().put(error));
}

Bytes device_message(const Bytes& request, const Wire& attributes,
                     std::uint16_t flags = NLM_F_MULTI) {
  Wire payload = generic(WG_CMD_GET_DEVICE);
  payload.put_bytes(attributes.bytes());
  return test::message(family, flags, test::sequence_of(request), payload);
}

Wire device_attributes(const Bytes& private_key = clamped_key(), std::uint16_t port = 51822) {
  Wire wire;
  wire.number(WGDEVICE_A_LISTEN_PORT, port).number(WGDEVICE_A_FWMARK, std::uint32_t{0});
  wire.number(WGDEVICE_A_IFINDEX, std::uint32_t{7}).text(WGDEVICE_A_IFNAME, "lptest");
  return wire.attribute(WGDEVICE_A_PRIVATE_KEY, private_key)
      .attribute(WGDEVICE_A_PUBLIC_KEY, zeros);
}

Wire allowed_ip(std::uint16_t address_family, ByteView address, std::uint8_t prefix) {
  Wire wire;
  return wire.number(WGALLOWEDIP_A_CIDR_MASK, prefix)
      .number(WGALLOWEDIP_A_FAMILY, address_family)
      .attribute(WGALLOWEDIP_A_IPADDR, address);
}

Wire allowed_ips(std::uint32_t number) {
  const auto addresses = numbered_peer(number).addresses;
  Wire wire;
  return wire.nest(0, allowed_ip(AF_INET, addresses.ipv4.octets, 32))
      .nest(0, allowed_ip(AF_INET6, addresses.ipv6.octets, 128));
}

/// As the kernel writes one: settings and counters first, allowed-ips last.
Wire peer(std::uint32_t number, const Bytes& preshared = zeros) {
  Wire wire;
  wire.attribute(WGPEER_A_PUBLIC_KEY, numbered_key(number).bytes)
      .attribute(WGPEER_A_PRESHARED_KEY, preshared)
      .attribute(WGPEER_A_LAST_HANDSHAKE_TIME,
                 Wire().put(std::int64_t{1'700'000'000}).put(std::int64_t{5}).bytes())
      .number(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, std::uint16_t{25})
      .number(WGPEER_A_TX_BYTES, std::uint64_t{number} << 40)
      .number(WGPEER_A_RX_BYTES, std::uint64_t{number})
      .number(WGPEER_A_PROTOCOL_VERSION, std::uint32_t{1});
  return wire;
}

Wire with_allowed_ips(Wire peer, std::uint32_t number) {
  return peer.nest(WGPEER_A_ALLOWEDIPS, allowed_ips(number));
}

Wire peers(std::initializer_list<Wire> nests) {
  Wire inside;
  for (const auto& nest : nests)
    inside.nest(0, nest);
  Wire wire;
  return wire.nest(WGDEVICE_A_PEERS, inside);
}

Wire operator+(Wire a, const Wire& b) {
  return a.put_bytes(b.bytes());
}

class NetlinkBackend : public testing::Test {
 protected:
  using Answer = ScriptedKernel::Answer;

  NetlinkBackend() {
    log::set_level(log::Level::off);
    kernel_.answer = [this](const Bytes& request) { return answer(request); };
  }

  std::unique_ptr<Backend> make(bool with_preshared_key = false,
                                std::chrono::milliseconds deadline = 20s) {
    return make_netlink_backend(config(with_preshared_key), kernel_.netlink(),
                                {.deadline = deadline});
  }

  /// A kernel in good order, save where the test has put something else.
  Answer answer(const Bytes& request) {
    if (test::type_of(request) == GENL_ID_CTRL) {
      if (on_family_) return on_family_(request);
      Wire payload = generic(CTRL_CMD_NEWFAMILY);
      payload.text(CTRL_ATTR_FAMILY_NAME, "wireguard").number(CTRL_ATTR_FAMILY_ID, family);
      return {.datagrams = {test::message(GENL_ID_CTRL, 0, test::sequence_of(request), payload),
                            acknowledgement(request)}};
    }
    if (test::command_of(request) == WG_CMD_GET_DEVICE) {
      if (on_dump_) return on_dump_(request);
      return {.datagrams = {device_message(request, device_attributes()), done(request)}};
    }
    if (on_set_) return on_set_(request);
    return {.datagrams = {acknowledgement(request)}};
  }

  /// Requests besides those for the family, without sequence numbers.
  std::vector<Bytes> device_requests() const {
    std::vector<Bytes> requests;
    for (auto request : kernel_.requests) {
      if (test::type_of(request) == GENL_ID_CTRL) continue;
      std::fill_n(request.begin() + 8, 4, std::uint8_t{0});
      requests.push_back(std::move(request));
    }
    return requests;
  }

  ScriptedKernel kernel_;
  std::function<Answer(const Bytes&)> on_family_;
  std::function<Answer(const Bytes&)> on_dump_;
  std::function<Answer(const Bytes&)> on_set_;
  std::unique_ptr<Backend> backend_ = make();
};

Bytes expected_dump() {
  return test::message(family, NLM_F_REQUEST | NLM_F_DUMP, 0,
                       generic(WG_CMD_GET_DEVICE).text(WGDEVICE_A_IFNAME, "lptest"));
}

Bytes expected_set(const Wire& attributes) {
  Wire payload = generic(WG_CMD_SET_DEVICE);
  payload.text(WGDEVICE_A_IFNAME, "lptest").put_bytes(attributes.bytes());
  return test::message(family, NLM_F_REQUEST | NLM_F_ACK, 0, payload);
}

Bytes expected_configuration() {
  Wire wire;
  return expected_set(wire.attribute(WGDEVICE_A_PRIVATE_KEY, clamped_key())
                          .number(WGDEVICE_A_LISTEN_PORT, std::uint16_t{51822}));
}

Bytes expected_peer(std::uint32_t number, const Bytes& preshared) {
  const auto addresses = numbered_peer(number).addresses;
  Wire v4;
  v4.number(WGALLOWEDIP_A_FAMILY, std::uint16_t{AF_INET})
      .attribute(WGALLOWEDIP_A_IPADDR, addresses.ipv4.octets)
      .number(WGALLOWEDIP_A_CIDR_MASK, std::uint8_t{32});
  Wire v6;
  v6.number(WGALLOWEDIP_A_FAMILY, std::uint16_t{AF_INET6})
      .attribute(WGALLOWEDIP_A_IPADDR, addresses.ipv6.octets)
      .number(WGALLOWEDIP_A_CIDR_MASK, std::uint8_t{128});
  Wire nest;
  nest.attribute(WGPEER_A_PUBLIC_KEY, numbered_key(number).bytes)
      .number(WGPEER_A_FLAGS, std::uint32_t{WGPEER_F_REPLACE_ALLOWEDIPS})
      .attribute(WGPEER_A_PRESHARED_KEY, preshared)
      .number(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, std::uint16_t{25})
      .nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, v4).nest(0, v6));
  return expected_set(peers({nest}));
}

TEST_F(NetlinkBackend, AMessageIsNotWhatTheHeadersSay) {
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes(zeros, 0)), done(request)}};
  };
  ASSERT_TRUE(backend_->add_peer(numbered_peer(0x1234)));
  ASSERT_TRUE(backend_->remove_peer(numbered_key(0x1234)));
  Wire removal;
  removal.attribute(WGPEER_A_PUBLIC_KEY, numbered_key(0x1234).bytes)
      .number(WGPEER_A_FLAGS, std::uint32_t{WGPEER_F_REMOVE_ME});
  EXPECT_THAT(device_requests(),
              ElementsAre(expected_dump(), expected_configuration(), expected_peer(0x1234, zeros),
                          expected_set(peers({removal}))));
  ASSERT_FALSE(kernel_.requests.empty());
  Bytes resolving = kernel_.requests.front();
  std::fill_n(resolving.begin() + 8, 4, std::uint8_t{0});
  EXPECT_EQ(resolving,
            test::message(GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, 0,
                          generic(CTRL_CMD_GETFAMILY).text(CTRL_ATTR_FAMILY_NAME, "wireguard")));
  EXPECT_EQ(kernel_.opened, 1U);
}

TEST_F(NetlinkBackend, SequenceNumbersAreUsedTwice) {
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  std::vector<std::uint32_t> numbers;
  numbers.reserve(kernel_.requests.size());
  for (const auto& request : kernel_.requests)
    numbers.push_back(test::sequence_of(request));
  auto unique = numbers;
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  EXPECT_EQ(numbers, unique);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
}

TEST_F(NetlinkBackend, ThePresharedKeyIsLeftOut) {
  backend_ = make(true);
  ASSERT_TRUE(backend_->add_peer(numbered_peer(5)));
  EXPECT_EQ(device_requests().back(), expected_peer(5, preshared_key));
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes() +
                                                      peers({peer(1, preshared_key), peer(2)})),
                          done(request)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_TRUE(listed);
  ASSERT_THAT(*listed, SizeIs(2));
  EXPECT_TRUE(listed->front().settings_match);
  EXPECT_FALSE(listed->back().settings_match);
}

TEST_F(NetlinkBackend, ADumpOverSeveralMessagesLosesSomething) {
  on_dump_ = [](const Bytes& request) -> Answer {
    const auto address = numbered_peer(3).addresses;
    // Peer 2 has its IPv4 address in the first message and the rest in the next; peer 3 goes on
    // for three messages; 4 and 5 share a datagram with the end.
    Wire continued;
    continued.attribute(WGPEER_A_PUBLIC_KEY, numbered_key(2).bytes)
        .nest(WGPEER_A_ALLOWEDIPS,
              Wire().nest(0, allowed_ip(AF_INET6, numbered_peer(2).addresses.ipv6.octets, 128)));
    Wire more;
    more.attribute(WGPEER_A_PUBLIC_KEY, numbered_key(3).bytes)
        .nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, allowed_ip(AF_INET, address.ipv4.octets, 24)));
    Wire name;
    name.text(WGDEVICE_A_IFNAME, "lptest");
    Wire begun = peer(2).nest(
        WGPEER_A_ALLOWEDIPS,
        Wire().nest(0, allowed_ip(AF_INET, numbered_peer(2).addresses.ipv4.octets, 32)));
    return {.datagrams = {
                device_message(request,
                               device_attributes() + peers({with_allowed_ips(peer(1), 1), begun})),
                device_message(request, name + peers({continued, with_allowed_ips(peer(3), 3)})),
                device_message(request, name + peers({more})),
                device_message(request, name + peers({more, with_allowed_ips(peer(4), 4)})) +
                    device_message(request, name + peers({with_allowed_ips(peer(5), 5)})) +
                    done(request)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_TRUE(listed) << listed.error().detail;
  ASSERT_THAT(*listed, SizeIs(5));
  for (std::uint32_t i = 1; i <= 5; ++i) {
    const auto& one = (*listed)[i - 1];
    EXPECT_EQ(one.public_key, numbered_key(i));
    EXPECT_TRUE(one.settings_match) << i;
    EXPECT_EQ(one.rx_bytes, i);
    EXPECT_EQ(one.tx_bytes, std::uint64_t{i} << 40);
    EXPECT_EQ(one.last_handshake, 1'700'000'000U);
    if (i == 3) {
      EXPECT_FALSE(one.addresses) << "it has two more";
    } else {
      EXPECT_EQ(one.addresses, numbered_peer(i).addresses) << i;
    }
  }
  EXPECT_THAT(device_requests(), ElementsAre(expected_dump()));
}

TEST_F(NetlinkBackend, AnAttributeOfANewerKernelEndsTheDump) {
  on_dump_ = [](const Bytes& request) -> Answer {
    Wire unknown;
    unknown.number(40, std::uint32_t{1}).nest(41, Wire().number(1, std::uint8_t{1}));
    Wire address = allowed_ip(AF_INET, numbered_peer(1).addresses.ipv4.octets, 32);
    Wire ips;
    ips.nest(0, address + unknown)
        .nest(0, allowed_ip(AF_INET6, numbered_peer(1).addresses.ipv6.octets, 128));
    Wire one = unknown + peer(1);
    one.nest(WGPEER_A_ALLOWEDIPS, ips);
    return {.datagrams = {
                test::message(0x7fff, NLM_F_MULTI, test::sequence_of(request), unknown) +
                    device_message(request, unknown + device_attributes() + peers({one}) + unknown),
                done(request)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_TRUE(listed) << listed.error().detail;
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_EQ(listed->front().addresses, numbered_peer(1).addresses);
  EXPECT_TRUE(listed->front().settings_match);
}

TEST_F(NetlinkBackend, AnotherKeyOrPortOnTheDeviceStays) {
  for (const auto& attributes :
       {device_attributes(zeros), device_attributes(clamped_key(), 51821)}) {
    kernel_.requests.clear();
    on_dump_ = [&](const Bytes& request) -> Answer {
      return {.datagrams = {device_message(request, attributes), done(request)}};
    };
    ASSERT_TRUE(backend_->list_peers());
    EXPECT_THAT(device_requests(), ElementsAre(expected_dump(), expected_configuration()));
  }
}

TEST_F(NetlinkBackend, ADumpThatChangedMeanwhileIsTaken) {
  int dumps = 0;
  on_dump_ = [&](const Bytes& request) -> Answer {
    ++dumps;
    const auto first = device_message(request, device_attributes() + peers({peer(1)}));
    // The flag may stand on any message of the dump, the last one included.
    if (dumps == 1) {
      return {.datagrams = {
                  first, device_message(request, peers({peer(2)}), NLM_F_MULTI | NLM_F_DUMP_INTR),
                  done(request)}};
    }
    if (dumps == 2) return {.datagrams = {first, done(request, 0, NLM_F_MULTI | NLM_F_DUMP_INTR)}};
    return {.datagrams = {first, device_message(request, peers({peer(3)})), done(request)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_TRUE(listed) << listed.error().detail;
  ASSERT_THAT(*listed, SizeIs(2));
  EXPECT_EQ(listed->back().public_key, numbered_key(3));
  EXPECT_EQ(dumps, 3);
}

TEST_F(NetlinkBackend, APassingHindranceStopsEverybody) {
  for (const int error : {EBUSY, EINTR, ENOBUFS, EAGAIN}) {
    int attempts = 0;
    on_dump_ = [&](const Bytes& request) -> Answer {
      switch (++attempts) {
        case 1:
          return {.send_error = error};
        case 2:
          return {.datagrams = {acknowledgement(request, -error)}};
        case 3:
          return {.datagrams = {device_message(request, device_attributes())},
                  .receive_error = error};
        case 4:
          return {.datagrams = {done(request, -error)}};
        default:
          return {.datagrams = {device_message(request, device_attributes()), done(request)}};
      }
    };
    const auto listed = backend_->list_peers();
    ASSERT_TRUE(listed) << error << ": " << listed.error().detail;
    EXPECT_EQ(attempts, 5);
  }
}

TEST_F(NetlinkBackend, ABusyKernelIsAskedForEver) {
  backend_ = make(false, 50ms);
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {acknowledgement(request, -EBUSY)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_NE(listed.error().kind, Kind::refused);
}

TEST_F(NetlinkBackend, APartialDumpPassesForAWholeOne) {
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes() + peers({peer(1)}))}};
  };
  auto listed = backend_->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, Kind::timeout);
  // An acknowledgement is not the end of a dump either.
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes()), acknowledgement(request)}};
  };
  listed = backend_->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, Kind::unavailable);
  // The end with an error: what came before it does not count.
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes()), done(request, -EIO)}};
  };
  listed = backend_->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, Kind::unavailable);
  EXPECT_THAT(listed.error().detail, HasSubstr("Input/output error"));
}

TEST_F(NetlinkBackend, TheRestOfAnEarlierAnswerIsTakenForTheNext) {
  ASSERT_TRUE(backend_->list_peers());
  // On the same socket: an acknowledgement and a peer of other requests come first.
  on_set_ = [](const Bytes& request) -> Answer {
    Bytes other = request;
    other[8] = static_cast<std::uint8_t>(other[8] - 1);
    return {.datagrams = {acknowledgement(other), acknowledgement(request, -EINVAL)}};
  };
  const auto added = backend_->add_peer(numbered_peer(1));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, Kind::refused);
  on_dump_ = [](const Bytes& request) -> Answer {
    Bytes other = request;
    other[9] = static_cast<std::uint8_t>(other[9] + 1);
    return {.datagrams = {
                device_message(other, device_attributes() + peers({peer(9)})) + done(other),
                device_message(request, device_attributes() + peers({peer(1)})), done(request)}};
  };
  const auto listed = backend_->list_peers();
  ASSERT_TRUE(listed);
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_EQ(listed->front().public_key, numbered_key(1));
  // After a silence the rest may still be on its way: the next request has a socket of its own.
  on_set_ = [](const Bytes&) -> Answer { return {}; };
  const auto opened = kernel_.opened;
  ASSERT_FALSE(backend_->add_peer(numbered_peer(1)));
  on_set_ = nullptr;
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_EQ(kernel_.opened, opened + 1);
}

TEST_F(NetlinkBackend, ACutMessageIsReadToItsEnd) {
  const auto whole = [](const Bytes& request) {
    return device_message(request, device_attributes() + peers({with_allowed_ips(peer(1), 1)}));
  };
  std::size_t size = 0;
  on_dump_ = [&](const Bytes& request) -> Answer {
    size = whole(request).size();
    return {.datagrams = {whole(request), done(request)}};
  };
  ASSERT_TRUE(backend_->list_peers());
  // The datagram ends early, wherever.
  for (std::size_t cut = 1; cut < size; ++cut) {
    on_dump_ = [&](const Bytes& request) -> Answer {
      Bytes datagram = whole(request);
      datagram.resize(cut);
      return {.datagrams = {datagram, done(request)}};
    };
    const auto listed = backend_->list_peers();
    ASSERT_FALSE(listed) << cut;
    EXPECT_EQ(listed.error().kind, Kind::unavailable) << cut;
  }
}

TEST_F(NetlinkBackend, AMessageThatEndsInsideAnAttributeIsReadBeyondIt) {
  // The message says itself that it is shorter: its last attribute does not fit any more.
  Bytes full;
  on_dump_ = [&](const Bytes& request) -> Answer {
    full = device_message(request, device_attributes() + peers({with_allowed_ips(peer(1), 1)}));
    return {.datagrams = {full, done(request)}};
  };
  ASSERT_TRUE(backend_->list_peers());
  int refused = 0;
  for (std::uint32_t size = 17; size < full.size(); ++size) {
    on_dump_ = [&](const Bytes& request) -> Answer {
      Bytes datagram =
          device_message(request, device_attributes() + peers({with_allowed_ips(peer(1), 1)}));
      datagram.resize(size);
      std::memcpy(datagram.data(), &size, sizeof(size));
      return {.datagrams = {datagram, done(request)}};
    };
    // Between two attributes of the device it is a shorter message; anywhere else it is none.
    const auto listed = backend_->list_peers();
    if (listed) {
      EXPECT_THAT(*listed, SizeIs(0)) << size;
    } else {
      ++refused;
      EXPECT_EQ(listed.error().kind, Kind::unavailable);
    }
  }
  EXPECT_GT(refused, 150);
}

TEST_F(NetlinkBackend, AValueOfAnotherSizeIsRead) {
  const std::vector<Wire> wrong{
      Wire().attribute(WGDEVICE_A_PRIVATE_KEY, Bytes(31)),
      Wire().number(WGDEVICE_A_LISTEN_PORT, std::uint32_t{1}),
      peers({Wire().number(WGPEER_A_RX_BYTES, std::uint64_t{1})}),  // no key
      peers({Wire().attribute(WGPEER_A_PUBLIC_KEY, Bytes(33))}),
      peers({peer(1).attribute(WGPEER_A_PRESHARED_KEY, Bytes(1))}),
      peers({peer(1).number(WGPEER_A_TX_BYTES, std::uint32_t{1})}),
      peers({peer(1).number(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, std::uint8_t{25})}),
      peers({peer(1).number(WGPEER_A_LAST_HANDSHAKE_TIME, std::uint64_t{1})}),
      peers(
          {peer(1).nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, allowed_ip(AF_INET, Bytes(16), 32)))}),
      peers({peer(1).nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, allowed_ip(AF_INET, Bytes(4), 33)))}),
      peers(
          {peer(1).nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, allowed_ip(AF_INET6, Bytes(4), 32)))}),
      peers({peer(1).nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, allowed_ip(99, Bytes(4), 32)))}),
      peers({peer(1).nest(WGPEER_A_ALLOWEDIPS, Wire().nest(0, Wire()))}),
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    on_dump_ = [&](const Bytes& request) -> Answer {
      return {
          .datagrams = {device_message(request, device_attributes() + wrong[i]), done(request)}};
    };
    const auto listed = backend_->list_peers();
    ASSERT_FALSE(listed) << i;
    EXPECT_THAT(listed.error().detail, HasSubstr("makes no sense")) << i;
  }
}

struct Hindrance {
  int error;
  Kind kind;
  std::string sentence;
};

TEST_F(NetlinkBackend, TheOperatorIsNotToldWhatIsMissing) {
  for (const auto& [error, kind, sentence] :
       std::vector<Hindrance>{{ENODEV, Kind::unavailable, "no such interface"},
                              {EOPNOTSUPP, Kind::unavailable, "no WireGuard interface"},
                              {EPERM, Kind::unavailable, "CAP_NET_ADMIN"},
                              {EACCES, Kind::unavailable, "CAP_NET_ADMIN"},
                              {ENOMEM, Kind::unavailable, "Cannot allocate memory"},
                              {ETIMEDOUT, Kind::timeout, "does not answer"}}) {
    on_dump_ = [&](const Bytes& request) -> Answer {
      return {.datagrams = {acknowledgement(request, -error)}};
    };
    const auto added = backend_->add_peer(numbered_peer(1));
    ASSERT_FALSE(added) << error;
    EXPECT_EQ(added.error().kind, kind) << error;
    EXPECT_THAT(added.error().detail, HasSubstr(sentence));
  }
}

TEST_F(NetlinkBackend, AKernelWithoutWireguardGivesNoHint) {
  on_family_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {acknowledgement(request, -ENOENT)}};
  };
  auto listed = backend_->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, Kind::unavailable);
  EXPECT_THAT(listed.error().detail, HasSubstr("modprobe wireguard"));
  // An acknowledgement without the family, a family of 0, a family cut short.
  for (const auto& attributes : {Wire(), Wire().number(CTRL_ATTR_FAMILY_ID, std::uint16_t{0}),
                                 Wire().number(CTRL_ATTR_FAMILY_ID, std::uint8_t{29})}) {
    on_family_ = [&](const Bytes& request) -> Answer {
      Wire payload = generic(CTRL_CMD_NEWFAMILY);
      payload.put_bytes(attributes.bytes());
      return {.datagrams = {test::message(GENL_ID_CTRL, 0, test::sequence_of(request), payload),
                            acknowledgement(request)}};
    };
    listed = backend_->list_peers();
    ASSERT_FALSE(listed);
    EXPECT_THAT(listed.error().detail, HasSubstr("makes no sense"));
  }
  kernel_.open_error = EMFILE;
  EXPECT_EQ(backend_->list_peers().error().kind, Kind::unavailable);
}

TEST_F(NetlinkBackend, AFamilyNumberOutlivesItsModule) {
  ASSERT_TRUE(backend_->list_peers());
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {acknowledgement(request, -ENOENT)}};
  };
  ASSERT_FALSE(backend_->list_peers());
  on_dump_ = nullptr;
  kernel_.requests.clear();
  ASSERT_TRUE(backend_->list_peers());
  ASSERT_FALSE(kernel_.requests.empty());
  EXPECT_EQ(test::type_of(kernel_.requests.front()), GENL_ID_CTRL);
}

TEST_F(NetlinkBackend, APeerThatIsRefusedStopsEverybody) {
  on_set_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {acknowledgement(request, -EINVAL)}};
  };
  EXPECT_EQ(backend_->add_peer(numbered_peer(1)).error().kind, Kind::refused);
  EXPECT_EQ(backend_->remove_peer(numbered_key(1)).error().kind, Kind::refused);
  // What is wrong with the device is no peer's fault.
  for (const int error : {ENODEV, EIO, ENOMEM}) {
    on_set_ = [error](const Bytes& request) -> Answer {
      return {.datagrams = {acknowledgement(request, -error)}};
    };
    EXPECT_EQ(backend_->add_peer(numbered_peer(1)).error().kind, Kind::unavailable);
  }
}

TEST_F(NetlinkBackend, APortThatIsTakenServesNobodyAndNobodyKnows) {
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes(zeros)), done(request)}};
  };
  on_set_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {acknowledgement(request, -EADDRINUSE)}};
  };
  const auto added = backend_->add_peer(numbered_peer(1));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, Kind::unavailable);
  EXPECT_THAT(added.error().detail, HasSubstr("51822"));
}

TEST_F(NetlinkBackend, AnInterfaceMadeAnewStaysEmpty) {
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_TRUE(backend_->is_as_left());
  kernel_.interface_index = 0;
  EXPECT_FALSE(backend_->is_as_left());
  kernel_.interface_index = 8;
  EXPECT_FALSE(backend_->is_as_left());
  on_dump_ = [](const Bytes& request) -> Answer {
    return {.datagrams = {device_message(request, device_attributes(zeros, 0)), done(request)}};
  };
  kernel_.requests.clear();
  ASSERT_TRUE(backend_->add_peer(numbered_peer(2)));
  EXPECT_TRUE(backend_->is_as_left());
  EXPECT_THAT(device_requests(),
              ElementsAre(expected_dump(), expected_configuration(), expected_peer(2, zeros)));
}

TEST(KernelNetlink, TheRunningKernelDoesNotUnderstandTheQuestion) {
  // Whether or not it has WireGuard, there is no interface of this name. What the sentence is
  // depends on module and rights; a question that makes no sense would be EINVAL.
  const auto backend = make_netlink_backend(config(false));
  const auto listed = backend->list_peers();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, Kind::unavailable);
  EXPECT_THAT(listed.error().detail,
              testing::AnyOf(HasSubstr("modprobe wireguard"), HasSubstr("no such interface"),
                             HasSubstr("CAP_NET_ADMIN")));
}

}  // namespace
}  // namespace lp::gateway::wireguard
