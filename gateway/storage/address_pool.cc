#include "gateway/storage/address_pool.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace lp::gateway::storage {
namespace {

template <std::size_t N>
constexpr int family = N == 4 ? AF_INET : AF_INET6;
template <std::size_t N>
constexpr std::string_view family_name = N == 4 ? "IPv4" : "IPv6";
template <std::size_t N>
constexpr std::string_view example = N == 4 ? "10.1.0.0/16" : "fd00::/112";

constexpr unsigned longest_host_part = 63;

template <std::size_t N>
std::uint64_t low_word(const ByteArray<N>& address) noexcept {
  if constexpr (N == 4) return load_be<std::uint32_t>(address.data());
  if constexpr (N == 16) return load_be<std::uint64_t>(address.data() + 8);
}

template <std::size_t N>
std::uint64_t high_word(const ByteArray<N>& address) noexcept {
  if constexpr (N == 16) return load_be<std::uint64_t>(address.data());
  return 0;
}

std::optional<unsigned> parse_prefix_length(std::string_view text, unsigned longest) noexcept {
  unsigned length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  const bool leading_zero = text.size() > 1 && text.front() == '0';
  if (error != std::errc{} || end != text.data() + text.size() || leading_zero) return {};
  if (length > longest) return {};
  return length;
}

template <std::size_t N>
ByteArray<N> masked(ByteArray<N> address, unsigned prefix_length) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    const auto bits_before = static_cast<unsigned>(8 * i);
    if (prefix_length >= bits_before + 8) continue;
    const unsigned kept = prefix_length > bits_before ? prefix_length - bits_before : 0;
    address[i] = static_cast<std::uint8_t>(address[i] & (0xff00U >> kept));
  }
  return address;
}

}  // namespace

template <std::size_t N>
AddressText address_text(const ByteArray<N>& address) noexcept {
  AddressText text;
  // Cannot fail: the family is known and the buffer holds the longest text.
  inet_ntop(family<N>, address.data(), text.buffer.data(),
            static_cast<socklen_t>(text.buffer.size()));
  text.size = std::strlen(text.buffer.data());
  return text;
}

template <std::size_t N>
std::optional<ByteArray<N>> parse_address(std::string_view text) noexcept {
  AddressText terminated;
  if (text.size() >= terminated.buffer.size()) return {};
  std::copy(text.begin(), text.end(), terminated.buffer.begin());
  ByteArray<N> address;
  if (inet_pton(family<N>, terminated.buffer.data(), address.data()) != 1) return {};
  return address;
}

template <std::size_t N>
std::expected<AddressRange<N>, std::string> AddressRange<N>::parse(std::string_view cidr) {
  const auto bad = [&](std::string_view reason) {
    return std::unexpected(fmt::format("'{}' {}", cidr, reason));
  };
  const auto slash = cidr.find('/');
  const auto address = parse_address<N>(cidr.substr(0, slash));
  if (slash == std::string_view::npos || !address) {
    return bad(fmt::format("is no {} prefix such as {}", family_name<N>, example<N>));
  }
  constexpr unsigned bits = 8 * N;
  const auto length = parse_prefix_length(cidr.substr(slash + 1), bits);
  if (!length) return bad(fmt::format("has a prefix length that is no number from 0 to {}", bits));
  const auto network = masked(*address, *length);
  if (network != *address) {
    return bad(fmt::format("has bits set beyond its prefix length; the network is {}/{}",
                           address_text(network).view(), *length));
  }
  const unsigned host_bits = std::min(bits - *length, longest_host_part);
  if (host_bits < 2) {
    return bad(fmt::format("has no address to hand out; the smallest pool is a /{}", bits - 2));
  }
  AddressRange range;
  range.high_ = high_word(network);
  range.low_ = low_word(network);
  range.last_ = (std::uint64_t{1} << host_bits) - 2;
  return range;
}

template <std::size_t N>
ByteArray<N> AddressRange<N>::at(Offset offset) const noexcept {
  Address address;
  if constexpr (N == 4) {
    store_be(address.data(), static_cast<std::uint32_t>(low_ + offset));
  } else {
    store_be(address.data(), high_);
    store_be(address.data() + 8, low_ + offset);
  }
  return address;
}

template <std::size_t N>
std::optional<std::uint64_t> AddressRange<N>::offset_of(const Address& address) const noexcept {
  if (high_word(address) != high_ || low_word(address) < low_) return {};
  const Offset offset = low_word(address) - low_;
  if (offset < first() || offset > last()) return {};
  return offset;
}

template <std::size_t N>
void FreeAddresses<N>::reset() {
  next_ = range_.first();
  known_.clear();
  known_index_ = 0;
  released_.clear();
  given_back_.clear();
}

template <std::size_t N>
void FreeAddresses<N>::add_used(const Address& address) {
  if (const auto offset = range_.offset_of(address)) known_.push_back(*offset);
}

template <std::size_t N>
void FreeAddresses<N>::add_released(const Address& address) {
  const auto offset = range_.offset_of(address);
  if (!offset) return;
  released_.push_back(*offset);
  if (*offset >= next_) known_.push_back(*offset);  // was used, too; only so while loading
}

template <std::size_t N>
void FreeAddresses<N>::finish_loading() {
  std::sort(known_.begin(), known_.end());
  all_were_used();  // steps over what is known from the start on, which as a rule is all
  known_.erase(known_.begin(), known_.begin() + static_cast<std::ptrdiff_t>(known_index_));
  known_.shrink_to_fit();
  known_index_ = 0;
}

template <std::size_t N>
bool FreeAddresses<N>::all_were_used() {
  for (; known_index_ < known_.size() && known_[known_index_] <= next_; ++known_index_) {
    if (known_[known_index_] == next_) ++next_;
  }
  return next_ > range_.last();
}

template <std::size_t N>
bool FreeAddresses<N>::has_next() {
  return !given_back_.empty() || !all_were_used() || !released_.empty();
}

template <std::size_t N>
ByteArray<N> FreeAddresses<N>::take() {
  if (!given_back_.empty()) {
    const auto offset = given_back_.back();
    given_back_.pop_back();
    return range_.at(offset);
  }
  if (!all_were_used()) return range_.at(next_++);
  const auto offset = released_.front();
  released_.pop_front();
  return range_.at(offset);
}

template <std::size_t N>
void FreeAddresses<N>::give_back(const Address& address) {
  if (const auto offset = range_.offset_of(address)) given_back_.push_back(*offset);
}

StorageResult<AddressPool> AddressPool::parse(std::string_view ipv4_pool,
                                              std::string_view ipv6_pool) {
  const auto bad = [](std::string_view setting, std::string_view reason) {
    return std::unexpected(
        StorageError{StorageError::Kind::invalid, fmt::format("{} {}", setting, reason)});
  };
  auto ipv4 = AddressRange<4>::parse(ipv4_pool);
  if (!ipv4) return bad("ipv4_pool", ipv4.error());
  auto ipv6 = AddressRange<16>::parse(ipv6_pool);
  if (!ipv6) return bad("ipv6_pool", ipv6.error());
  return AddressPool(*ipv4, *ipv6);
}

std::optional<AddressPair> AddressPool::take() {
  if (is_exhausted()) return {};
  return AddressPair{{ipv4.take()}, {ipv6.take()}};
}

void AddressPool::give_back(const AddressPair& addresses) {
  ipv4.give_back(addresses.ipv4.octets);
  ipv6.give_back(addresses.ipv6.octets);
}

template class AddressRange<4>;
template class AddressRange<16>;
template class FreeAddresses<4>;
template class FreeAddresses<16>;
template AddressText address_text<4>(const ByteArray<4>&) noexcept;
template AddressText address_text<16>(const ByteArray<16>&) noexcept;
template std::optional<ByteArray<4>> parse_address<4>(std::string_view) noexcept;
template std::optional<ByteArray<16>> parse_address<16>(std::string_view) noexcept;

}  // namespace lp::gateway::storage
