// The addresses that peers get: one pool for IPv4, one for IPv6 (docs/gateway.md, "Registration").
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

/// The addresses of a prefix that can be handed out, by their distance from the network address:
/// all but the network, the first (the gateway's) and the last (IPv4's broadcast). Of an IPv6
/// prefix shorter than /65 the first 2^63 addresses are used.
template <std::size_t N>
class AddressRange {
 public:
  using Address = ByteArray<N>;
  using Offset = std::uint64_t;

  /// "10.1.0.0/16". Fails with a sentence for people where the text is no prefix, where it has
  /// bits set beyond its length, or where no address is left to hand out.
  [[nodiscard]] static std::expected<AddressRange, std::string> parse(std::string_view cidr);

  [[nodiscard]] Offset first() const noexcept { return 2; }
  [[nodiscard]] Offset last() const noexcept { return last_; }
  [[nodiscard]] Address at(Offset offset) const noexcept;
  /// None where the address is not of this range.
  [[nodiscard]] std::optional<Offset> offset_of(const Address& address) const noexcept;

 private:
  std::uint64_t high_ = 0;  ///< upper 64 bits of an IPv6 network address
  std::uint64_t low_ = 0;
  Offset last_ = 0;
};

/// The free addresses of one range. Addresses never used come first, in order, without a list of
/// them; then those released, the one that has been free for longest first.
template <std::size_t N>
class FreeAddresses {
 public:
  using Address = ByteArray<N>;

  explicit FreeAddresses(AddressRange<N> range) : range_(range), next_(range.first()) {}

  /// Rebuilding the state: forget everything, then name every address in use, and the released ones
  /// in the order of their release. Addresses of another range are ignored.
  void reset();
  void add_used(const Address& address);
  void add_released(const Address& address);
  void finish_loading();

  [[nodiscard]] bool has_next();
  /// Requires `has_next`.
  [[nodiscard]] Address take();
  /// Undoes `take` of an address that nobody got: it is the next one. Several go back in the
  /// reverse order of their taking.
  void give_back(const Address& address);

 private:
  /// True where only released addresses can be left. Steps over known ones.
  bool all_were_used();

  AddressRange<N> range_;
  std::uint64_t next_;                ///< every address from here on was never used, but for known_
  std::vector<std::uint64_t> known_;  ///< sorted exceptions from that, from known_index_ on
  std::size_t known_index_ = 0;
  std::deque<std::uint64_t> released_;
  std::vector<std::uint64_t> given_back_;  ///< the last one goes first
};

/// Pairs of addresses. It knows what it has handed out, not whether that was committed: after a
/// transaction that was rolled back it is loaded again from the database, which alone is right.
class AddressPool {
 public:
  /// Fails with `invalid` and a sentence that names the setting.
  [[nodiscard]] static StorageResult<AddressPool> parse(std::string_view ipv4_pool,
                                                        std::string_view ipv6_pool);

  AddressPool(AddressRange<4> ipv4, AddressRange<16> ipv6) : ipv4(ipv4), ipv6(ipv6) {}

  /// None where either pool is empty; then nothing is taken.
  [[nodiscard]] std::optional<AddressPair> take();
  void give_back(const AddressPair& addresses);
  [[nodiscard]] bool is_exhausted() { return !ipv4.has_next() || !ipv6.has_next(); }

  FreeAddresses<4> ipv4;
  FreeAddresses<16> ipv6;
};

/// Text forms without an allocation, and back.
struct AddressText {
  std::array<char, 46> buffer{};
  std::size_t size = 0;
  [[nodiscard]] std::string_view view() const noexcept { return {buffer.data(), size}; }
};
template <std::size_t N>
[[nodiscard]] AddressText address_text(const ByteArray<N>& address) noexcept;
template <std::size_t N>
[[nodiscard]] std::optional<ByteArray<N>> parse_address(std::string_view text) noexcept;

}  // namespace lp::gateway::storage
