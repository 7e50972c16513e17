#include "gateway/storage/postgres_rows.h"

#include <limits>

#include "gateway/storage/address_pool.h"

namespace lp::gateway::storage {

StorageResult<std::optional<AddressPair>> read_addresses(const postgres::Rows& rows,
                                                         std::size_t row, std::size_t column) {
  if (rows.is_null(row, column)) return std::nullopt;
  const auto ipv4 = parse_address<4>(rows.text(row, column));
  const auto ipv6 = parse_address<16>(rows.text(row, column + 1));
  if (!ipv4 || !ipv6) return std::unexpected(damaged("an address that is none"));
  return AddressPair{{*ipv4}, {*ipv6}};
}

StorageResult<ByteArray<32>> read_key(const postgres::Rows& rows, std::size_t row,
                                      std::size_t column) {
  const auto bytes = rows.bytes(row, column);
  if (bytes.size() != 32) return std::unexpected(damaged("a key that has not 32 bytes"));
  return to_array<32>(bytes);
}

StorageResult<std::optional<ServingInstance>> read_instance(const postgres::Rows& rows,
                                                            std::size_t row, std::size_t column) {
  if (rows.is_null(row, column)) return std::nullopt;
  const auto key = read_key(rows, row, column + 1);
  if (!key) return std::unexpected(key.error());
  const auto port = rows.integer(row, column + 3);
  if (port < 1 || port > std::numeric_limits<std::uint16_t>::max()) {
    return std::unexpected(damaged("a port that is none"));
  }
  return ServingInstance{.name = std::string(rows.text(row, column)),
                         .wireguard_public_key = {*key},
                         .announced_host = std::string(rows.text(row, column + 2)),
                         .announced_port = static_cast<std::uint16_t>(port)};
}

}  // namespace lp::gateway::storage
