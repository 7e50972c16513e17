// bincode 1 with its default settings (lp-protocol(7), "Messages inside the transport"):
// fixed-width little-endian integers, u64 lengths, one-byte Option and bool tags, u32 enum
// variants.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

namespace lp::messages {

/// Appends fields to a buffer of its own.
class BincodeWriter {
 public:
  void u8(std::uint8_t value);
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void i64(std::int64_t value);
  void boolean(bool value);
  /// `[u8; n]`: raw.
  void raw(ByteView bytes);
  /// `Vec<u8>` and `String`: u64 length, then the bytes.
  void bytes(ByteView bytes);
  void string(std::string_view text);
  void variant(std::uint32_t index);
  void option(bool present);

  [[nodiscard]] Bytes take() noexcept;

 private:
  Bytes out_;
};

/// Reads fields in order. Every length is checked against what is left before anything is
/// allocated. The first error sticks: later reads give zeros, and `finish` reports it.
class BincodeReader {
 public:
  explicit BincodeReader(ByteView input) noexcept;

  [[nodiscard]] std::uint8_t u8() noexcept;
  [[nodiscard]] std::uint16_t u16() noexcept;
  [[nodiscard]] std::uint32_t u32() noexcept;
  [[nodiscard]] std::uint64_t u64() noexcept;
  [[nodiscard]] std::int64_t i64() noexcept;
  /// bool and Option tags: 0 or 1, else bincode_tag.
  [[nodiscard]] bool boolean() noexcept;
  [[nodiscard]] bool option() noexcept;
  /// A variant index below `count`, else bincode_tag.
  [[nodiscard]] std::uint32_t variant(std::uint32_t count) noexcept;
  template <std::size_t N>
  [[nodiscard]] ByteArray<N> array() noexcept {
    ByteArray<N> out{};
    const ByteView from = raw(N);
    if (from.size() == N) out = to_array<N>(from);
    return out;
  }
  /// A length-prefixed field of at most `max` bytes, as a view into the input.
  [[nodiscard]] ByteView bytes(std::size_t max) noexcept;
  /// The same, and UTF-8.
  [[nodiscard]] std::string_view string(std::size_t max) noexcept;

  [[nodiscard]] bool ok() const noexcept { return !error_; }
  void fail_with(Error error) noexcept;
  /// The first error, or bincode_trailing where input is left.
  [[nodiscard]] Status finish() const noexcept;

 private:
  [[nodiscard]] ByteView raw(std::size_t size) noexcept;

  ByteView rest_;
  bool error_ = false;
  Error first_error_ = Error::bincode_truncated;
};

}  // namespace lp::messages
