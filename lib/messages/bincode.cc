#include "lib/messages/bincode.h"

#include <utility>

#include "lib/base/utf8.h"

namespace lp::messages {
namespace {

template <std::unsigned_integral T>
void append_le(Bytes& out, T value) {
  const std::size_t begin = out.size();
  out.resize(begin + sizeof(T));
  store_le(out.data() + begin, value);
}

ByteView view_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

void BincodeWriter::u8(std::uint8_t value) {
  out_.push_back(value);
}
void BincodeWriter::u16(std::uint16_t value) {
  append_le(out_, value);
}
void BincodeWriter::u32(std::uint32_t value) {
  append_le(out_, value);
}
void BincodeWriter::u64(std::uint64_t value) {
  append_le(out_, value);
}
void BincodeWriter::i64(std::int64_t value) {
  u64(static_cast<std::uint64_t>(value));
}
void BincodeWriter::boolean(bool value) {
  u8(value ? 1 : 0);
}
void BincodeWriter::raw(ByteView bytes) {
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void BincodeWriter::bytes(ByteView bytes) {
  u64(bytes.size());
  raw(bytes);
}

void BincodeWriter::string(std::string_view text) {
  bytes(view_of(text));
}
void BincodeWriter::variant(std::uint32_t index) {
  u32(index);
}
void BincodeWriter::option(bool present) {
  boolean(present);
}

Bytes BincodeWriter::take() noexcept {
  return std::exchange(out_, {});
}

BincodeReader::BincodeReader(ByteView input) noexcept : rest_(input) {}

std::uint8_t BincodeReader::u8() noexcept {
  return array<1>()[0];
}
std::uint16_t BincodeReader::u16() noexcept {
  return load_le<std::uint16_t>(array<2>().data());
}
std::uint32_t BincodeReader::u32() noexcept {
  return load_le<std::uint32_t>(array<4>().data());
}
std::uint64_t BincodeReader::u64() noexcept {
  return load_le<std::uint64_t>(array<8>().data());
}
std::int64_t BincodeReader::i64() noexcept {
  return static_cast<std::int64_t>(u64());
}

bool BincodeReader::boolean() noexcept {
  const std::uint8_t tag = u8();
  if (tag > 1) fail_with(Error::bincode_tag);
  return tag == 1;
}

bool BincodeReader::option() noexcept {
  return boolean();
}

std::uint32_t BincodeReader::variant(std::uint32_t count) noexcept {
  const std::uint32_t index = u32();
  if (index < count) return index;
  fail_with(Error::bincode_tag);
  return 0;
}

ByteView BincodeReader::bytes(std::size_t max) noexcept {
  const std::uint64_t length = u64();
  if (!ok()) return {};
  if (length > max || length > rest_.size()) {
    fail_with(Error::bincode_length);
    return {};
  }
  return raw(static_cast<std::size_t>(length));
}

std::string_view BincodeReader::string(std::size_t max) noexcept {
  const ByteView text = bytes(max);
  if (!is_utf8(text)) {
    fail_with(Error::bincode_utf8);
    return {};
  }
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

void BincodeReader::fail_with(Error error) noexcept {
  if (error_) return;
  error_ = true;
  first_error_ = error;
}

Status BincodeReader::finish() const noexcept {
  if (error_) return fail(first_error_);
  if (!rest_.empty()) return fail(Error::bincode_trailing);
  return {};
}

ByteView BincodeReader::raw(std::size_t size) noexcept {
  if (size > rest_.size()) fail_with(Error::bincode_truncated);
  if (!ok()) return {};
  const ByteView taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

}  // namespace lp::messages
