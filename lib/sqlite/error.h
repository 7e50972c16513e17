// Why a database did not do what it was asked to.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace lp::sqlite {

/// `detail` is for the log, never for a client.
struct Error {
  enum class Kind : std::uint8_t {
    unavailable,    ///< cannot be opened, read or written (I/O error, read-only, permissions)
    corrupt,        ///< damaged, or no database at all
    busy,           ///< too much waits, or another process held the lock for longer than 5 s
    full,           ///< no space is left on the device
    newer_schema,   ///< written by a newer version of the program
    invalid,        ///< this call alone cannot be carried out: a value out of range, a constraint
    shutting_down,  ///< called after the end of its user
  };
  Kind kind = Kind::unavailable;
  std::string detail{};
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(Error::Kind kind, std::string detail) {
  return std::unexpected(Error{kind, std::move(detail)});
}

}  // namespace lp::sqlite
