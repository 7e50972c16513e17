// Byte views and the byte orders of the wire.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace lp {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

/// Loads an integer from `from`, which has at least sizeof(T) bytes, in the named byte order.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_le(const std::uint8_t* from) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(from[i]) << (8 * i)));
  }
  return value;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_be(const std::uint8_t* from) noexcept {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value |
                           static_cast<T>(static_cast<T>(from[i]) << (8 * (sizeof(T) - 1 - i))));
  }
  return value;
}

/// Stores `value` at `to`, which has room for sizeof(T) bytes, in the named byte order.
template <std::unsigned_integral T>
constexpr void store_le(std::uint8_t* to, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

template <std::unsigned_integral T>
constexpr void store_be(std::uint8_t* to, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

/// The first N bytes of `from`, which has at least N.
template <std::size_t N>
[[nodiscard]] ByteArray<N> to_array(ByteView from) noexcept {
  ByteArray<N> array;
  std::memcpy(array.data(), from.data(), N);
  return array;
}

}  // namespace lp
