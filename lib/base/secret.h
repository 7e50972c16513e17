// Secret bytes: move-only, wiped on destruction and on being moved from, printed as redacted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string_view>
#include <type_traits>

#include "lib/base/bytes.h"

namespace lp {

/// Overwrites `bytes` with zeros in a way the compiler may not remove.
void wipe(MutableByteView bytes) noexcept;

/// Compares in constant time; both views have the same length, else false.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b) noexcept;

inline constexpr std::string_view redacted = "<redacted>";

/// N secret bytes. There is no copy; a deliberate one is `clone()`.
template <std::size_t N>
class Secret {
 public:
  static constexpr std::size_t size = N;

  /// All zero; fill it through `mutable_bytes()`.
  Secret() noexcept : bytes_{} {}
  /// Copies `bytes`. The caller wipes its own.
  explicit Secret(std::span<const std::uint8_t, N> bytes) noexcept {
    std::memcpy(bytes_.data(), bytes.data(), N);
  }
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(bytes_); }

  [[nodiscard]] Secret clone() const noexcept { return Secret(std::span(bytes_)); }
  [[nodiscard]] std::span<const std::uint8_t, N> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::span<std::uint8_t, N> mutable_bytes() noexcept { return bytes_; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return bytes_.data(); }

 private:
  ByteArray<N> bytes_;
};

/// Printing a secret prints that there is one.
template <std::size_t N>
std::ostream& operator<<(std::ostream& out, const Secret<N>&) {
  return out << redacted;
}

/// Secret bytes whose number changes: wiped before every reuse and at the end.
class SecretBuffer {
 public:
  SecretBuffer() noexcept = default;
  SecretBuffer(SecretBuffer&& other) noexcept;
  SecretBuffer& operator=(SecretBuffer&& other) noexcept;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer();

  /// Wipes what it holds and makes room for `size` bytes, all zero. Views into it end.
  MutableByteView reset(std::size_t size);
  [[nodiscard]] ByteView bytes() const noexcept { return bytes_; }

 private:
  Bytes bytes_;
};

std::ostream& operator<<(std::ostream& out, const SecretBuffer&);

}  // namespace lp
