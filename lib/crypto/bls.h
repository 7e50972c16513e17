// BLS12-381, from blst: what blind signatures with keys in G2 need, with points that are checked by
// type. Part of target lp_ecash, so that a program without e-cash needs no blst.
//
// Every function may be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

namespace lp::crypto {

/// Compressed points as the ZCash serialisation has them: x big-endian, three flag bits on top. A
/// value of these types says nothing about what the bytes are.
using G1Encoding = ByteArray<48>;
using G2Encoding = ByteArray<96>;

struct BlsAccess;

/// A point of G1 that has been checked: on the curve, in the subgroup of prime order r, and not
/// infinity. There is no way to one that has not been.
class G1Point {
 public:
  /// Takes the canonical compressed encoding and nothing else. Fails with point_size, point_flags,
  /// point_infinity, point_not_canonical, point_not_on_curve, point_not_in_subgroup, in this order.
  /// The time it takes depends on `encoding`.
  [[nodiscard]] static Result<G1Point> decode(ByteView encoding) noexcept;

  /// hash_to_curve of RFC 9380 with the suite BLS12381G1_XMD:SHA-256_SSWU_RO_; `domain` is the
  /// domain separation tag.
  [[nodiscard]] static G1Point hash(ByteView message, std::string_view domain) noexcept;

  [[nodiscard]] G1Encoding encode() const noexcept;

  friend bool operator==(const G1Point& a, const G1Point& b) noexcept {
    return a.affine_ == b.affine_;
  }

 private:
  friend struct BlsAccess;
  G1Point() noexcept = default;

  /// A blst_p1_affine. Its coordinates are reduced, so equal points have equal bytes.
  alignas(8) std::array<std::byte, 96> affine_;
};

/// A point of G2, checked in the same way.
class G2Point {
 public:
  /// As G1Point::decode.
  [[nodiscard]] static Result<G2Point> decode(ByteView encoding) noexcept;

  [[nodiscard]] G2Encoding encode() const noexcept;

  friend bool operator==(const G2Point& a, const G2Point& b) noexcept {
    return a.affine_ == b.affine_;
  }

 private:
  friend struct BlsAccess;
  G2Point() noexcept = default;

  alignas(8) std::array<std::byte, 192> affine_;  ///< a blst_p2_affine
};

/// A secret scalar between 1 and r - 1: a signing key or a blinding factor. Move-only; wiped.
class BlsScalar {
 public:
  /// Uniform over 1 … r - 1.
  [[nodiscard]] static BlsScalar random() noexcept;
  /// From 32 bytes, big-endian. Fails with scalar_invalid on zero and on r and above: nothing is
  /// reduced.
  [[nodiscard]] static Result<BlsScalar> from_bytes(const Secret<32>& big_endian) noexcept;

  /// 32 bytes, big-endian.
  [[nodiscard]] Secret<32> to_bytes() const noexcept;
  /// 1 / this, modulo r. Constant time.
  [[nodiscard]] BlsScalar inverse() const noexcept;

  friend std::ostream& operator<<(std::ostream& out, const BlsScalar& scalar) {
    return out << scalar.little_endian_;
  }

 private:
  friend struct BlsAccess;
  BlsScalar() noexcept = default;

  Secret<32> little_endian_;  ///< as blst takes it
};

/// scalar · point. Neither branches nor memory accesses depend on the scalar (blst's windowed
/// multiplication with the curve's endomorphism), and the result is affine, so that no projective
/// coordinate tells of the way it was come by.
[[nodiscard]] G1Point multiply(const BlsScalar& scalar, const G1Point& point) noexcept;

/// scalar · the generator of G2: the public key of a signing key. Constant time likewise.
[[nodiscard]] G2Point multiply_generator(const BlsScalar& scalar) noexcept;

/// coefficients[i] · points[i], summed; both have the same length, at least 1. None where the sum
/// is infinity. Its time depends on its input, which is public.
[[nodiscard]] std::optional<G1Point> linear_combination(
    std::span<const G1Point> points, std::span<const std::uint64_t> coefficients);

/// The lines of a Miller loop over one point of G2, computed once: a pairing with it costs a
/// quarter less. About 20 kB on the heap.
class PreparedG2 {
 public:
  explicit PreparedG2(const G2Point& point);
  PreparedG2(PreparedG2&&) noexcept;
  PreparedG2& operator=(PreparedG2&&) noexcept;
  ~PreparedG2();

  /// The generator's, made at the first call.
  [[nodiscard]] static const PreparedG2& generator();

 private:
  friend struct BlsAccess;
  struct Lines;
  explicit PreparedG2(std::unique_ptr<const Lines> lines) noexcept;

  std::unique_ptr<const Lines> lines_;
};

/// e(a, x) = e(b, y): two Miller loops and one final exponentiation.
[[nodiscard]] bool pairings_equal(const G1Point& a, const PreparedG2& x, const G1Point& b,
                                  const PreparedG2& y) noexcept;

}  // namespace lp::crypto
