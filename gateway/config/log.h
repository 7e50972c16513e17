// The gateway's log is the one that all daemons share: `log::` in lp::gateway is lp::log.
#pragma once

#include "lib/log/log.h"
