// A property that must hold for every input. An assertion in all builds.
#pragma once

#include <cstdlib>

inline void require(bool holds) {
  if (!holds) std::abort();
}
