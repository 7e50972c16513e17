#include "lib/base/secret.h"

#include <sodium.h>

#include <ostream>

namespace lp {

void wipe(MutableByteView bytes) noexcept {
  sodium_memzero(bytes.data(), bytes.size());
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

SecretBuffer::SecretBuffer(SecretBuffer&& other) noexcept : bytes_(std::move(other.bytes_)) {
  other.bytes_.clear();
}

SecretBuffer& SecretBuffer::operator=(SecretBuffer&& other) noexcept {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

SecretBuffer::~SecretBuffer() {
  wipe(bytes_);
}

MutableByteView SecretBuffer::reset(std::size_t size) {
  wipe(bytes_);
  bytes_.clear();  // what a larger allocation leaves behind is wiped already
  bytes_.resize(size);
  return bytes_;
}

std::ostream& operator<<(std::ostream& out, const SecretBuffer&) {
  return out << redacted;
}

}  // namespace lp
