// Why a database did not do what it was asked to: the kinds are those of any database.
#pragma once

#include "lib/sqlite/error.h"

namespace lp::postgres {

using sqlite::Error;
using sqlite::fail;
using sqlite::Result;
using sqlite::Status;

}  // namespace lp::postgres
