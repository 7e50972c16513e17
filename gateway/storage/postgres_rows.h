// Rows of the PostgreSQL database as the storage's types.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "gateway/storage/error.h"
#include "gateway/storage/storage.h"
#include "lib/postgres/postgres.h"

namespace lp::gateway::storage {

/// The addresses in this column and the next one; none where they are NULL.
[[nodiscard]] StorageResult<std::optional<AddressPair>> read_addresses(const postgres::Rows& rows,
                                                                       std::size_t row,
                                                                       std::size_t column);
[[nodiscard]] StorageResult<ByteArray<32>> read_key(const postgres::Rows& rows, std::size_t row,
                                                    std::size_t column);
/// Name, key, host and port in four columns from this one on; none where the name is NULL.
[[nodiscard]] StorageResult<std::optional<ServingInstance>> read_instance(
    const postgres::Rows& rows, std::size_t row, std::size_t column);

}  // namespace lp::gateway::storage
