// Registrations with real tickets: which are taken, and with what each other one is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/gateway/ecash/real_tickets.h"

namespace lp::gateway::ecash {
namespace {

using test::day;
using test::Signer;
using test::start_time;
using test::TicketType;
using test::withdraw;
using Failure = messages::RegistrationFailure;

class TicketsTest : public test::RealTickets {
 protected:
  messages::Credential ticket() { return withdraw(entry_, gateway_.identity); }

  /// Refused with that, counted with its label, and nothing came of it.
  void expect_refused(const messages::RegistrationRequest& request, Failure why,
                      const std::string& what) {
    const auto label = messages::label(why);
    const double before = rejected(label);
    EXPECT_EQ(failure(request), why) << what;
    EXPECT_EQ(rejected(label), before + 1) << what;
    EXPECT_FALSE(is_spent(request.credential.nullifier)) << what;
  }
  void expect_refused(messages::Credential credential, Failure why, const std::string& what) {
    expect_refused(dvpn(7, std::move(credential)), why, what);
  }
};

TEST_F(TicketsTest, TicketOfEachTypeIsWorthWhatItsTypeIs) {
  std::vector<Signer> signers;
  std::vector<Key> keys;
  for (const auto type : {TicketType::v1_mixnet_entry, TicketType::v1_mixnet_exit,
                          TicketType::v1_wireguard_entry, TicketType::v1_wireguard_exit}) {
    signers.push_back({.type = type, .expiry = start_time + day});
    keys.push_back(signers.back().key());
  }
  start_with(keys);
  const std::vector<std::int64_t> worth{200'000'000, 100'000'000, 500'000'000, 500'000'000};
  for (std::size_t i = 0; i < signers.size(); ++i) {
    const auto credential = withdraw(signers[i], gateway_.identity);
    const auto n = static_cast<std::uint8_t>(i + 1);
    const auto got = answer(i < 2 ? mixnet(n, credential, signers[i].type)
                                  : dvpn(n, credential, signers[i].type));
    EXPECT_EQ(got.failure, std::nullopt) << i;
    EXPECT_EQ(got.response.allocated_bandwidth, worth[i]) << i;
    EXPECT_TRUE(is_spent(credential.nullifier)) << i;
  }
  EXPECT_EQ(metric("lp_credential_verification_success"), 4);
  EXPECT_EQ(metric("lp_bandwidth_allocated_bytes_total"), 1'300'000'000);
}

TEST_F(TicketsTest, WhatIsNotAsItWasSignedIsRefused) {
  const Signer next{.type = TicketType::v1_wireguard_entry, .expiry = start_time + 2 * day};
  start_with({entry_.key(), exit_.key(), next.key()});
  auto credential = ticket();
  credential.bandwidth_amount += 1;
  expect_refused(credential, Failure::wrong_amount, "more");
  credential.bandwidth_amount = 200'000'000;
  expect_refused(credential, Failure::wrong_amount, "another type's amount");
  credential = ticket();
  credential.expiry = next.expiry;
  expect_refused(credential, Failure::bad_signature, "another epoch's expiry");
  credential.expiry = start_time + 3 * day;
  expect_refused(credential, Failure::unknown_verification_key, "nobody's expiry");
  expect_refused(dvpn(7, ticket(), TicketType::v1_wireguard_exit), Failure::bad_signature,
                 "another type");
  expect_refused(withdraw(entry_, crypto::IdentityKeyPair::generate().identity),
                 Failure::bad_signature, "another gateway's");
  const Signer stranger{.type = entry_.type, .expiry = entry_.expiry};
  expect_refused(withdraw(stranger, gateway_.identity), Failure::bad_signature,
                 "another authority's");
  const Signer unknown{.type = entry_.type, .expiry = start_time + 5 * day};
  expect_refused(withdraw(unknown, gateway_.identity), Failure::unknown_verification_key,
                 "an unknown key's");
  EXPECT_EQ(failure(mixnet(9, ticket(), TicketType::v1_wireguard_entry)),
            Failure::ticket_type_mismatch);
  expect_untouched();
}

TEST_F(TicketsTest, ExpiredTicketIsRefusedFromTheSecondOn) {
  start_with({entry_.key()});
  clock_.time = entry_.expiry;
  expect_refused(ticket(), Failure::credential_expired, "at its expiry");
  clock_.time = entry_.expiry + 1'000'000;
  expect_refused(ticket(), Failure::credential_expired, "long after");
  expect_untouched();
  clock_.time = entry_.expiry - 1;
  EXPECT_EQ(failure(dvpn(7, ticket())), std::nullopt);
}

TEST_F(TicketsTest, FalseTicketIsNotCalledExpired) {
  start_with({entry_.key()});
  clock_.time = entry_.expiry;
  auto credential = ticket();
  credential.nullifier[0] ^= 1;
  expect_refused(credential, Failure::bad_signature, "expired and false");
}

TEST_F(TicketsTest, EveryFlippedBitIsNoticed) {
  start_with({entry_.key()});
  const auto good = ticket();
  for (std::size_t bit = 0; bit < good.nullifier.size() * 8; ++bit) {
    auto credential = good;
    credential.nullifier[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_refused(credential, Failure::bad_signature, fmt::format("nullifier, bit {}", bit));
  }
  for (std::size_t bit = 0; bit < good.signature.size() * 8; ++bit) {
    auto credential = good;
    credential.signature[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_refused(credential, Failure::bad_signature, fmt::format("signature, bit {}", bit));
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    auto credential = good;
    credential.bandwidth_amount ^= std::uint64_t{1} << bit;
    expect_refused(credential, Failure::wrong_amount, fmt::format("amount, bit {}", bit));
  }
  for (unsigned bit = 0; bit < 63; ++bit) {
    auto credential = good;
    credential.expiry ^= std::uint64_t{1} << bit;
    expect_refused(credential, Failure::unknown_verification_key,
                   fmt::format("expiry, bit {}", bit));
  }
  auto credential = good;
  credential.expiry ^= std::uint64_t{1} << 63U;
  EXPECT_EQ(failure(dvpn(7, credential)), Failure::malformed_request);
  expect_untouched();
  EXPECT_EQ(failure(dvpn(7, good)), std::nullopt);
}

TEST_F(TicketsTest, SignatureThatIsNoPointIsRefused) {
  start_with({entry_.key()});
  const auto refused = [&](Bytes signature, Error kind) {
    const auto decoded = crypto::G1Point::decode(signature);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error(), kind);
    auto credential = ticket();
    credential.signature = std::move(signature);
    expect_refused(credential, Failure::bad_signature, std::string(name(kind)));
  };
  Bytes infinity(48, 0);
  infinity[0] = 0xc0;
  refused(infinity, Error::point_infinity);
  refused(Bytes(48, 0xff), Error::point_flags);
  refused(Bytes(48, 0), Error::point_flags);
  Bytes not_canonical(48, 0xff);
  not_canonical[0] = 0x9f;
  refused(not_canonical, Error::point_not_canonical);
  for (const std::size_t size : {0U, 1U, 47U, 49U, 96U}) {
    Bytes bytes = ticket().signature;
    bytes.resize(size);
    refused(bytes, Error::point_size);
  }
  std::set<Error> seen;
  for (std::uint8_t x = 1; x < 30; ++x) {
    Bytes small(48, 0);
    small[0] = 0x80;
    small[47] = x;
    const auto kind = crypto::G1Point::decode(small).error();
    if (seen.insert(kind).second) refused(small, kind);
  }
  EXPECT_TRUE(seen.contains(Error::point_not_on_curve));
  EXPECT_TRUE(seen.contains(Error::point_not_in_subgroup));
  expect_untouched();
}

TEST_F(TicketsTest, RetryIsAnsweredAfterTheExpiryAndNobodyElseIs) {
  start_with({entry_.key()});
  const auto credential = ticket();
  const auto first = answer(dvpn(7, credential));
  ASSERT_EQ(first.failure, std::nullopt);
  clock_.time = entry_.expiry + 1;
  const auto retry = answer(dvpn(7, credential));
  EXPECT_EQ(retry.failure, std::nullopt);
  EXPECT_EQ(retry.response.gateway_data, first.response.gateway_data);
  EXPECT_EQ(failure(dvpn(8, credential)), Failure::credential_already_spent);
  EXPECT_EQ(active_peers().at(0).credited, 500'000'000);
}

// Whoever knows a spent nullifier must not get its answer by making up a signature.
TEST_F(TicketsTest, RetryNeedsTheSignatureToo) {
  start_with({entry_.key()});
  auto credential = ticket();
  ASSERT_EQ(failure(dvpn(7, credential)), std::nullopt);
  credential.signature = ticket().signature;
  EXPECT_EQ(failure(dvpn(7, credential)), Failure::bad_signature);
}

TEST_F(TicketsTest, OneOfManyAtOnceGetsTheTicket) {
  auto with_room = options();
  with_room.max_waiting_per_address = 0;
  start_with({entry_.key()}, with_room);
  constexpr std::uint32_t rounds = 20;
  constexpr std::uint32_t at_once = 64;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const auto credential = ticket();
    std::vector<std::future<registration::Answer>> answers(at_once);
    std::vector<std::thread> threads;
    for (std::uint32_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (std::uint32_t i = thread; i < at_once; i += 4)
          answers[i] = submit(dvpn(round * at_once + i + 1, credential));
      });
    }
    for (auto& thread : threads)
      thread.join();
    std::uint32_t succeeded = 0;
    std::uint32_t spent = 0;
    for (auto& one : answers) {
      const auto got = one.get();
      succeeded += got.response.success ? 1 : 0;
      spent += got.failure == Failure::credential_already_spent ? 1 : 0;
    }
    EXPECT_EQ(succeeded, 1u) << round;
    EXPECT_EQ(spent, at_once - 1) << round;
  }
  EXPECT_EQ(active_peers().size(), rounds);
  EXPECT_EQ(metric("lp_bandwidth_allocated_bytes_total"), 500'000'000.0 * rounds);
}

}  // namespace
}  // namespace lp::gateway::ecash
