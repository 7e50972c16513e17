// System calls that must work for a test to mean anything.
#pragma once

#include <cerrno>
#include <system_error>

namespace lp::test {

[[noreturn]] inline void fail_with_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace lp::test
