// Verification of tickets on one core, as ratios to blst's plain verification in the same run
// (docs/performance.md, "E-cash").
//
//   lp-ecash-bench [--benchmark_…]
//
// The measurements are interleaved and repeated, and the ratios are of medians of CPU time: what
// else the machine does in the meantime hits all of them alike.
#include <benchmark/benchmark.h>
#include <blst.h>

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/crypto/bls.h"
#include "lib/crypto/random.h"
#include "lib/ecash/issuer_key.h"
#include "lib/ecash/ticket.h"
#include "lib/ecash/verification_key.h"

namespace lp::bench {
namespace {

constexpr std::size_t most_tickets = 128;
constexpr const char* baseline = "blst_core_verify";

/// Set where a measurement is worth nothing, because what was measured gave the wrong answer.
bool wrong_verdict = false;

void stop(benchmark::State& state, const char* why) {
  wrong_verdict = true;
  std::fprintf(stderr, "lp-ecash-bench: %s\n", why);
  state.SkipWithError(why);
}

/// Good tickets of one key, as they come off the network.
struct Tickets {
  ecash::IssuerKey issuer = ecash::IssuerKey::generate();
  ecash::VerificationKey key{issuer.public_key()};
  std::vector<crypto::G1Encoding> signatures;
  std::vector<ecash::UnverifiedTicket> tickets;

  Tickets() {
    signatures.reserve(most_tickets);
    for (std::size_t i = 0; i < most_tickets; ++i) {
      const auto type = messages::TicketType::v1_wireguard_entry;
      ecash::TicketMessage message{.gateway = {},
                                   .nullifier = {},
                                   .bandwidth_amount = ecash::ticket_worth(type),
                                   .expiry = 1'763'424'000,
                                   .type = type};
      crypto::random_bytes(message.gateway.bytes);
      crypto::random_bytes(message.nullifier);
      signatures.push_back(issuer.sign(hash_to_g1(message)).encode());
      tickets.push_back({message, signatures.back()});
    }
  }
};

const Tickets& tickets() {
  static const Tickets made;
  return made;
}

const byte* hash_domain() {
  return reinterpret_cast<const byte*>(ecash::hash_domain.data());
}

/// A key and signatures that are decoded already: what the plain verification takes.
struct Decoded {
  blst_p2_affine key;
  std::vector<blst_p1_affine> signatures{most_tickets};
  std::vector<ecash::EncodedTicketMessage> messages;

  Decoded() {
    blst_p2_uncompress(&key, tickets().issuer.public_key().encode().data());
    for (std::size_t i = 0; i < most_tickets; ++i) {
      blst_p1_uncompress(&signatures[i], tickets().signatures[i].data());
      messages.push_back(encode(tickets().tickets[i].message));
    }
  }
};

/// blst as it comes: group checks of key and signature, hash to curve, pairings. No decoding.
void core_verify(benchmark::State& state) {
  static const Decoded decoded;
  std::size_t i = 0;
  for (auto _ : state) {
    const auto& message = decoded.messages[i];
    if (blst_core_verify_pk_in_g2(&decoded.key, &decoded.signatures[i], true, message.data(),
                                  message.size(), hash_domain(), ecash::hash_domain.size(), nullptr,
                                  0) != BLST_SUCCESS) {
      stop(state, "a good signature was refused");
      break;
    }
    i = (i + 1) % most_tickets;
  }
  state.SetItemsProcessed(state.iterations());
}

/// One ticket under a prepared key, from the signature's 48 bytes.
void verify(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) {
    const auto& [message, signature] = tickets().tickets[i];
    if (!tickets().key.verify(message, signature)) {
      stop(state, "a good ticket was refused");
      break;
    }
    i = (i + 1) % most_tickets;
  }
  state.SetItemsProcessed(state.iterations());
}

/// A batch of good tickets, from the signatures' bytes.
void verify_batch(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const auto verdict = tickets().key.verify_batch(std::span(tickets().tickets).first(count));
    if (verdict.checked_one_by_one || !verdict.tickets.front() || !verdict.tickets.back()) {
      stop(state, "a good batch was refused");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// A batch in which the last signature is another ticket's: it fails and is gone through one by
/// one.
void verify_bad_batch(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector batch(tickets().tickets.begin(), tickets().tickets.begin() + state.range(0));
  batch[count - 1].signature = batch[0].signature;
  for (auto _ : state) {
    const auto verdict = tickets().key.verify_batch(batch);
    if (!verdict.checked_one_by_one || verdict.tickets[count - 1]) {
      stop(state, "a false ticket was taken");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void hash_message(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(hash_to_g1(tickets().tickets[0].message));
  state.SetItemsProcessed(state.iterations());
}

void decode_signature(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(crypto::G1Point::decode(tickets().signatures[0]));
  }
  state.SetItemsProcessed(state.iterations());
}

void sign_blinded(benchmark::State& state) {
  const auto point = crypto::G1Point::decode(tickets().signatures[0]).value();
  for (auto _ : state)
    benchmark::DoNotOptimize(tickets().issuer.sign(point));
  state.SetItemsProcessed(state.iterations());
}

void prepare_key(benchmark::State& state) {
  for (auto _ : state)
    ecash::VerificationKey key(tickets().issuer.public_key());
  state.SetItemsProcessed(state.iterations());
}

/// Prints each median as time and number a second of one ticket, and as a ratio to the baseline, in
/// the order of registration.
class RatioReporter final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      const auto rate = run.counters.find("items_per_second");
      if (run.aggregate_name != "median" || rate == run.counters.end()) continue;
      std::string name = run.run_name.function_name;
      if (!run.run_name.args.empty()) name += "/" + run.run_name.args;
      rows_[{run.family_index, run.per_family_instance_index}] = {name, rate->second.value};
    }
  }

  void Finalize() override {
    double plain = 0;
    for (const auto& [place, row] : rows_) {
      if (row.name == baseline) plain = row.rate;
    }
    std::printf("%-20s %10s %10s %7s\n", "one core", "us each", "per second", "ratio");
    for (const auto& [place, row] : rows_) {
      std::printf("%-20s %10.1f %10.0f", row.name.c_str(), 1e6 / row.rate, row.rate);
      if (plain > 0) std::printf(" %7.2f", row.rate / plain);
      std::printf("\n");
    }
  }

 private:
  struct Row {
    std::string name;
    double rate = 0;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, Row> rows_;
};

void register_all() {
  const auto add = [](const char* name, void (*function)(benchmark::State&)) {
    return benchmark::RegisterBenchmark(name, function)
        ->MinTime(0.05)
        ->Repetitions(21)
        ->Unit(benchmark::kMicrosecond);
  };
  add(baseline, core_verify);
  add("verify", verify);
  add("verify_batch", verify_batch)->Arg(2)->Arg(8)->Arg(32)->Arg(128);
  add("verify_bad_batch", verify_bad_batch)->Arg(32);
  add("hash_message", hash_message);
  add("decode_signature", decode_signature);
  add("sign_blinded", sign_blinded);
  add("prepare_key", prepare_key);
}

}  // namespace
}  // namespace lp::bench

int main(int argc, char** argv) {
  if (!lp::crypto::initialise()) {
    std::fputs("lp-ecash-bench: libsodium could not start\n", stderr);
    return 1;
  }
  // First, so that the command line may say otherwise.
  std::string interleaved = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, interleaved.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  lp::bench::register_all();
  lp::bench::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return lp::bench::wrong_verdict ? 1 : 0;
}
