// Errors as tests compare and print them.
#pragma once

#include <optional>
#include <ostream>

#include "lib/base/error.h"

namespace lp {

inline void PrintTo(Error error, std::ostream* out) {
  *out << name(error);
}

namespace test {

/// Why it failed; nothing where it did not. `EXPECT_EQ(error_of(x), Error::…)`.
template <typename T>
[[nodiscard]] std::optional<Error> error_of(const Result<T>& result) {
  if (result) return std::nullopt;
  return result.error();
}

inline constexpr std::optional<Error> no_error;

}  // namespace test
}  // namespace lp
