// The whole program, for main() and for tests that put faulty parts into it.
#pragma once

#include "gateway/app/gateway.h"

namespace lp::gateway::app {

/// Returns the exit code.
int gateway_main(int argc, char** argv, const Overrides& overrides = {});

}  // namespace lp::gateway::app
