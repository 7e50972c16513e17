// The gateway's exit codes are those of all programs.
#pragma once

#include "lib/base/exit_code.h"
