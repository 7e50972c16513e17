#include "probes/tunnel/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "lib/crypto/random.h"

namespace lp::probe::tunnel {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds ping_interval{200};
constexpr unsigned dns_attempts = 3;
constexpr std::uint16_t dns_port = 53;
constexpr std::size_t token_size = 32;

enum class PingKind : std::uint8_t { gateway, ips, hosts };

/// One question and its answer.
struct Exchange {
  std::size_t family = 0;
  IpAddress to;
  std::optional<Question> question;  ///< else it is a ping
  PingKind kind = PingKind::gateway;
  std::uint16_t identifier = 0;   ///< of ICMP; the source port of UDP
  std::uint16_t sequence = 0;     ///< of ICMP; the id of DNS
  ByteArray<token_size> token{};  ///< what an echo must bring back

  MonotonicTime due;       ///< when it is to be sent
  MonotonicTime sent;      ///< when it was
  MonotonicTime deadline;  ///< until when an answer counts
  unsigned attempts = 0;
  enum class State : std::uint8_t { waiting, out, done } state = State::waiting;
};

PingCount& count_of(FamilyResult& result, PingKind kind) {
  switch (kind) {
    case PingKind::gateway:
      return result.gateway;
    case PingKind::ips:
      return result.ips;
    case PingKind::hosts:
      break;
  }
  return result.hosts;
}

void add_time(PingCount& count, std::chrono::nanoseconds time) {
  ++count.received;
  count.min = count.received == 1 ? time : std::min(count.min, time);
  count.max = std::max(count.max, time);
  count.mean += (time - count.mean) / static_cast<std::int64_t>(count.received);
}

std::uint16_t random_u16() {
  return static_cast<std::uint16_t>(crypto::random_u32());
}

/// A port that no server has.
std::uint16_t random_port() {
  constexpr std::uint16_t first_dynamic = 49152;
  return static_cast<std::uint16_t>(first_dynamic + random_u16() % 16384U);
}

/// Carries a set of exchanges through the link.
class Round {
 public:
  Round(Link& link, const ChecksPlan& plan, CheckResults& results)
      : link_(link), plan_(plan), results_(results), begin_(SteadyClock::now()) {}

  void ping(std::size_t family, PingKind kind, const IpAddress& to) {
    const std::uint16_t identifier = random_u16();
    for (unsigned i = 0; i < plan_.num_ping; ++i) {
      Exchange exchange;
      exchange.family = family;
      exchange.to = to;
      exchange.kind = kind;
      exchange.identifier = identifier;
      exchange.sequence = static_cast<std::uint16_t>(i + 1);
      exchange.due = begin_ + i * ping_interval;
      crypto::random_bytes(exchange.token);
      exchanges_.push_back(std::move(exchange));
    }
  }

  void resolve(std::size_t family, const IpAddress& resolver, const std::string& host) {
    Exchange exchange;
    exchange.family = family;
    exchange.to = resolver;
    exchange.question = Question{host, family == 0 ? RecordType::a : RecordType::aaaa};
    exchange.due = begin_;
    exchanges_.push_back(std::move(exchange));
    ++results_[family].names_asked;
  }

  /// False where it was interrupted.
  bool run() {
    while (true) {
      const auto next = send_and_expire();
      if (!next) return true;
      ByteView bytes;
      const auto received = link_.receive(*next, bytes);
      if (received == Link::Received::interrupted) return false;
      if (received == Link::Received::nothing) continue;
      if (const auto packet = parse_ip_packet(bytes)) take(*packet);
    }
  }

  /// What the names stand for: the first address of each.
  [[nodiscard]] const std::vector<std::pair<std::size_t, IpAddress>>& resolved() const {
    return resolved_;
  }

 private:
  using State = Exchange::State;

  /// Sends what is due and gives up what is too late. When to look again; nothing when all is done.
  std::optional<MonotonicTime> send_and_expire() {
    std::optional<MonotonicTime> next;
    for (auto& exchange : exchanges_) {
      const auto now = SteadyClock::now();
      if (exchange.state == State::out && now >= exchange.deadline) expire(exchange);
      if (exchange.state == State::waiting && now >= exchange.due) send(exchange);
      if (exchange.state == State::done) continue;
      const auto when = exchange.state == State::waiting ? exchange.due : exchange.deadline;
      next = next ? std::min(*next, when) : when;
    }
    return next;
  }

  void send(Exchange& exchange) {
    const auto& own = plan_.families[exchange.family].own;
    Bytes packet;
    if (exchange.question) {
      exchange.identifier = random_port();
      exchange.sequence = random_u16();
      packet = make_udp(own, exchange.to, exchange.identifier, dns_port,
                        make_query(exchange.sequence, *exchange.question));
    } else {
      packet = make_echo_request(own, exchange.to, exchange.identifier, exchange.sequence,
                                 exchange.token);
      ++count_of(results_[exchange.family], exchange.kind).sent;
    }
    ++exchange.attempts;
    exchange.sent = SteadyClock::now();
    exchange.deadline = exchange.sent + plan_.recv_timeout;
    exchange.state = State::out;
    if (auto sent = link_.send(packet, exchange.sent + plan_.send_timeout); !sent) {
      results_[exchange.family].remark = std::move(sent.error());
      exchange.state = State::done;
    }
  }

  /// UDP loses packets; a question is asked again, an echo request is not.
  void expire(Exchange& exchange) {
    const bool again = exchange.question && exchange.attempts < dns_attempts;
    exchange.state = again ? State::waiting : State::done;
    if (exchange.question && !again) {
      results_[exchange.family].remark =
          fmt::format("{}: no answer from {}", exchange.question->name, to_string(exchange.to));
    }
  }

  void take(const IpPacket& packet) {
    for (auto& exchange : exchanges_) {
      if (exchange.state != State::out) continue;
      if (packet.destination != plan_.families[exchange.family].own) continue;
      if (const auto* reply = std::get_if<EchoReply>(&packet.content)) {
        if (take_echo(exchange, packet, *reply)) return;
      } else if (const auto* datagram = std::get_if<Datagram>(&packet.content)) {
        if (take_answer(exchange, packet, *datagram)) return;
      } else if (take_error(exchange, packet, std::get<Undelivered>(packet.content))) {
        return;
      }
    }
  }

  bool take_echo(Exchange& exchange, const IpPacket& packet, const EchoReply& reply) {
    if (exchange.question || packet.source != exchange.to ||
        reply.identifier != exchange.identifier || reply.sequence != exchange.sequence ||
        !std::ranges::equal(reply.payload, exchange.token)) {
      return false;
    }
    exchange.state = State::done;
    add_time(count_of(results_[exchange.family], exchange.kind),
             SteadyClock::now() - exchange.sent);
    return true;
  }

  bool take_answer(Exchange& exchange, const IpPacket& packet, const Datagram& datagram) {
    if (!exchange.question || packet.source != exchange.to || datagram.source_port != dns_port ||
        datagram.destination_port != exchange.identifier) {
      return false;
    }
    auto addresses = parse_answer(datagram.payload, exchange.sequence, *exchange.question);
    if (!addresses && addresses.error() == DnsError::not_the_answer) return false;
    exchange.state = State::done;
    auto& result = results_[exchange.family];
    if (!addresses) {
      result.remark = fmt::format("{}: {}", exchange.question->name, gloss(addresses.error()));
      return true;
    }
    ++result.names_resolved;
    if (!result.dns_time) result.dns_time = SteadyClock::now() - exchange.sent;
    resolved_.emplace_back(exchange.family, addresses->front());
    return true;
  }

  bool take_error(Exchange& exchange, const IpPacket& packet, const Undelivered& error) {
    if (error.destination != exchange.to || error.was_udp != exchange.question.has_value() ||
        error.first != exchange.identifier) {
      return false;
    }
    if (error.was_udp ? error.second != dns_port : error.second != exchange.sequence) return false;
    exchange.state = State::done;
    results_[exchange.family].remark = fmt::format("{}: {}, says {}", to_string(exchange.to),
                                                   error.reason, to_string(packet.source));
    return true;
  }

  Link& link_;
  const ChecksPlan& plan_;
  CheckResults& results_;
  MonotonicTime begin_;
  std::vector<Exchange> exchanges_;
  std::vector<std::pair<std::size_t, IpAddress>> resolved_;
};

}  // namespace

bool run_checks(Link& link, const ChecksPlan& plan, CheckResults& results) {
  Round first(link, plan, results);
  for (std::size_t i = 0; i < plan.families.size(); ++i) {
    const auto& family = plan.families[i];
    if (family.dns) {
      for (const auto& host : family.hosts)
        first.resolve(i, *family.dns, host);
    }
    if (family.gateway) first.ping(i, PingKind::gateway, *family.gateway);
    for (const auto& ip : family.ips)
      first.ping(i, PingKind::ips, ip);
  }
  if (!first.run()) return false;
  Round second(link, plan, results);
  for (const auto& [family, address] : first.resolved())
    second.ping(family, PingKind::hosts, address);
  return second.run();
}

}  // namespace lp::probe::tunnel
