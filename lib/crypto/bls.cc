#include "lib/crypto/bls.h"

#include <blst.h>

#include <algorithm>
#include <vector>

#include "lib/crypto/random.h"

namespace lp::crypto {

static_assert(sizeof(G1Point) == sizeof(blst_p1_affine) &&
              alignof(G1Point) >= alignof(blst_p1_affine));
static_assert(sizeof(G2Point) == sizeof(blst_p2_affine) &&
              alignof(G2Point) >= alignof(blst_p2_affine));
static_assert(sizeof(blst_scalar) == 32);

struct PreparedG2::Lines {
  std::array<blst_fp6, 68> lines;
};

/// The way between the opaque bytes of our types and blst's.
struct BlsAccess {
  static blst_p1_affine* raw(G1Point& point) noexcept {
    return reinterpret_cast<blst_p1_affine*>(point.affine_.data());
  }
  static const blst_p1_affine* raw(const G1Point& point) noexcept {
    return reinterpret_cast<const blst_p1_affine*>(point.affine_.data());
  }
  static blst_p2_affine* raw(G2Point& point) noexcept {
    return reinterpret_cast<blst_p2_affine*>(point.affine_.data());
  }
  static const blst_p2_affine* raw(const G2Point& point) noexcept {
    return reinterpret_cast<const blst_p2_affine*>(point.affine_.data());
  }
  static blst_scalar* raw(BlsScalar& scalar) noexcept {
    return reinterpret_cast<blst_scalar*>(scalar.little_endian_.mutable_bytes().data());
  }
  static const blst_scalar* raw(const BlsScalar& scalar) noexcept {
    return reinterpret_cast<const blst_scalar*>(scalar.little_endian_.data());
  }
  static const blst_fp6* raw(const PreparedG2& prepared) noexcept {
    return prepared.lines_->lines.data();
  }
  static G1Point unset_g1() noexcept { return {}; }
  static G2Point unset_g2() noexcept { return {}; }
  static BlsScalar unset_scalar() noexcept { return {}; }
  static PreparedG2 prepared(const blst_p2_affine* point);
};

namespace {

constexpr std::uint8_t compressed_flag = 0x80;
constexpr std::uint8_t infinity_flag = 0x40;

/// blst has one answer for wrong flags and for a coordinate that is too large, and takes infinity;
/// so the flags are judged here, and what is left of its "bad encoding" is the coordinate.
Status check_flags(ByteView encoding) noexcept {
  const std::uint8_t first = encoding[0];
  if ((first & compressed_flag) == 0) return fail(Error::point_flags);
  if ((first & infinity_flag) == 0) return {};
  const bool canonical = first == (compressed_flag | infinity_flag) &&
                         std::ranges::all_of(encoding.subspan(1), [](auto b) { return b == 0; });
  return fail(canonical ? Error::point_infinity : Error::point_flags);
}

Error error_from(BLST_ERROR error) noexcept {
  switch (error) {
    case BLST_POINT_NOT_ON_CURVE:
      return Error::point_not_on_curve;
    case BLST_POINT_NOT_IN_GROUP:
      return Error::point_not_in_subgroup;
    default:
      return Error::point_not_canonical;
  }
}

}  // namespace

Result<G1Point> G1Point::decode(ByteView encoding) noexcept {
  if (encoding.size() != std::tuple_size_v<G1Encoding>) return fail(Error::point_size);
  if (const auto flags = check_flags(encoding); !flags) return fail(flags.error());
  G1Point point;
  const BLST_ERROR error = blst_p1_uncompress(BlsAccess::raw(point), encoding.data());
  if (error != BLST_SUCCESS) return fail(error_from(error));
  if (!blst_p1_affine_in_g1(BlsAccess::raw(point))) return fail(Error::point_not_in_subgroup);
  return point;
}

G1Point G1Point::hash(ByteView message, std::string_view domain) noexcept {
  // Infinity comes out with a chance of 1/r: no one finds a message that gives it.
  blst_p1 hashed;
  blst_hash_to_g1(&hashed, message.data(), message.size(),
                  reinterpret_cast<const byte*>(domain.data()), domain.size(), nullptr, 0);
  G1Point point;
  blst_p1_to_affine(BlsAccess::raw(point), &hashed);
  return point;
}

G1Encoding G1Point::encode() const noexcept {
  G1Encoding encoding;
  blst_p1_affine_compress(encoding.data(), BlsAccess::raw(*this));
  return encoding;
}

Result<G2Point> G2Point::decode(ByteView encoding) noexcept {
  if (encoding.size() != std::tuple_size_v<G2Encoding>) return fail(Error::point_size);
  if (const auto flags = check_flags(encoding); !flags) return fail(flags.error());
  G2Point point;
  const BLST_ERROR error = blst_p2_uncompress(BlsAccess::raw(point), encoding.data());
  if (error != BLST_SUCCESS) return fail(error_from(error));
  if (!blst_p2_affine_in_g2(BlsAccess::raw(point))) return fail(Error::point_not_in_subgroup);
  return point;
}

G2Encoding G2Point::encode() const noexcept {
  G2Encoding encoding;
  blst_p2_affine_compress(encoding.data(), BlsAccess::raw(*this));
  return encoding;
}

BlsScalar BlsScalar::random() noexcept {
  // Drawn among the 2^255 strings of r's length and drawn again outside 1 … r - 1, about every
  // tenth time: what is left is exactly uniform, and the number of draws tells nothing of the last
  // one.
  BlsScalar scalar;
  const auto bytes = scalar.little_endian_.mutable_bytes();
  do {
    random_bytes(bytes);
    bytes[31] &= 0x7f;
  } while (!blst_sk_check(BlsAccess::raw(scalar)));
  return scalar;
}

Result<BlsScalar> BlsScalar::from_bytes(const Secret<32>& big_endian) noexcept {
  BlsScalar scalar;
  blst_scalar_from_bendian(BlsAccess::raw(scalar), big_endian.data());
  if (!blst_sk_check(BlsAccess::raw(scalar))) return fail(Error::scalar_invalid);
  return scalar;
}

Secret<32> BlsScalar::to_bytes() const noexcept {
  Secret<32> big_endian;
  blst_bendian_from_scalar(big_endian.mutable_bytes().data(), BlsAccess::raw(*this));
  return big_endian;
}

BlsScalar BlsScalar::inverse() const noexcept {
  BlsScalar inverse;
  blst_sk_inverse(BlsAccess::raw(inverse), BlsAccess::raw(*this));
  return inverse;
}

G1Point multiply(const BlsScalar& scalar, const G1Point& point) noexcept {
  // blst's signing is this multiplication, brought to Z = 1 in constant time.
  blst_p1 projective;
  blst_p1_from_affine(&projective, BlsAccess::raw(point));
  blst_sign_pk_in_g2(&projective, &projective, BlsAccess::raw(scalar));
  G1Point product = BlsAccess::unset_g1();
  blst_p1_to_affine(BlsAccess::raw(product), &projective);
  return product;
}

G2Point multiply_generator(const BlsScalar& scalar) noexcept {
  blst_p2 projective;
  blst_sk_to_pk_in_g2(&projective, BlsAccess::raw(scalar));
  G2Point product = BlsAccess::unset_g2();
  blst_p2_to_affine(BlsAccess::raw(product), &projective);
  return product;
}

std::optional<G1Point> linear_combination(std::span<const G1Point> points,
                                          std::span<const std::uint64_t> coefficients) {
  constexpr std::size_t coefficient_bits = 64;
  std::vector<ByteArray<8>> scalars(coefficients.size());
  for (std::size_t i = 0; i < scalars.size(); ++i)
    store_le(scalars[i].data(), coefficients[i]);

  blst_p1 sum;
  if (points.size() == 1) {
    // blst's multi-scalar multiplication looks one point ahead.
    blst_p1_from_affine(&sum, BlsAccess::raw(points[0]));
    blst_p1_mult(&sum, &sum, scalars[0].data(), coefficient_bits);
  } else {
    // Two pointers, the second null: the points stand in a row, and so do the scalars.
    const std::array<const blst_p1_affine*, 2> first_point{BlsAccess::raw(points[0]), nullptr};
    const std::array<const byte*, 2> first_scalar{scalars[0].data(), nullptr};
    std::vector<limb_t> scratch(blst_p1s_mult_pippenger_scratch_sizeof(points.size()) /
                                sizeof(limb_t));
    blst_p1s_mult_pippenger(&sum, first_point.data(), points.size(), first_scalar.data(),
                            coefficient_bits, scratch.data());
  }
  if (blst_p1_is_inf(&sum)) return std::nullopt;
  G1Point affine = BlsAccess::unset_g1();
  blst_p1_to_affine(BlsAccess::raw(affine), &sum);
  return affine;
}

PreparedG2 BlsAccess::prepared(const blst_p2_affine* point) {
  auto lines = std::make_unique<PreparedG2::Lines>();
  blst_precompute_lines(lines->lines.data(), point);
  return PreparedG2(std::move(lines));
}

PreparedG2::PreparedG2(std::unique_ptr<const Lines> lines) noexcept : lines_(std::move(lines)) {}
PreparedG2::PreparedG2(const G2Point& point)
    : PreparedG2(BlsAccess::prepared(BlsAccess::raw(point))) {}
PreparedG2::PreparedG2(PreparedG2&&) noexcept = default;
PreparedG2& PreparedG2::operator=(PreparedG2&&) noexcept = default;
PreparedG2::~PreparedG2() = default;

const PreparedG2& PreparedG2::generator() {
  static const PreparedG2 prepared = BlsAccess::prepared(blst_p2_affine_generator());
  return prepared;
}

bool pairings_equal(const G1Point& a, const PreparedG2& x, const G1Point& b,
                    const PreparedG2& y) noexcept {
  // The loop over prepared lines does not know infinity; a G1Point is never that.
  blst_fp12 left;
  blst_fp12 right;
  blst_miller_loop_lines(&left, BlsAccess::raw(x), BlsAccess::raw(a));
  blst_miller_loop_lines(&right, BlsAccess::raw(y), BlsAccess::raw(b));
  return blst_fp12_finalverify(&left, &right);
}

}  // namespace lp::crypto
