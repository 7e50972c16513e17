#include "tools/db-maint/copy_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/encoding.h"

namespace lp::db_maint {
namespace {

using enum CellType;

constexpr std::array clients{CopiedColumn{"id", integer}, CopiedColumn{"kind", text}};
constexpr std::array wireguard_peers{
    CopiedColumn{"id", integer},        CopiedColumn{"public_key", blob},
    CopiedColumn{"ticket_type", text},  CopiedColumn{"private_ipv4", text},
    CopiedColumn{"private_ipv6", text}, CopiedColumn{"rx_bytes", integer},
    CopiedColumn{"tx_bytes", integer},  CopiedColumn{"created_at", integer},
    CopiedColumn{"last_seen", integer}};
constexpr std::array mixnet_clients{CopiedColumn{"id", integer}, CopiedColumn{"client_key", blob},
                                    CopiedColumn{"ticket_type", text},
                                    CopiedColumn{"created_at", integer},
                                    CopiedColumn{"last_seen", integer}};
constexpr std::array bandwidth{CopiedColumn{"client_id", integer},
                               CopiedColumn{"available", integer}, CopiedColumn{"used", integer},
                               CopiedColumn{"credited", integer},
                               CopiedColumn{"updated_at", integer}};
constexpr std::array spent_credentials{
    CopiedColumn{"nullifier", blob},   CopiedColumn{"expiry", integer},
    CopiedColumn{"spent_at", integer}, CopiedColumn{"amount", integer},
    CopiedColumn{"mode", text},        CopiedColumn{"owner", blob},
    CopiedColumn{"client_id", integer}};
constexpr std::array lp_sessions{
    CopiedColumn{"id", integer},         CopiedColumn{"session_id", integer},
    CopiedColumn{"lp_id", integer},      CopiedColumn{"client_ip", text},
    CopiedColumn{"started_at", integer}, CopiedColumn{"completed_at", integer},
    CopiedColumn{"status", text},        CopiedColumn{"client_id", integer}};
constexpr std::array wireguard_removals{CopiedColumn{"public_key", blob},
                                        CopiedColumn{"since", integer}};
constexpr std::array released_addresses{CopiedColumn{"id", integer}, CopiedColumn{"address", text},
                                        CopiedColumn{"released_at", integer}};

std::string column_names(const CopiedTable& table) {
  std::string names;
  for (const auto& column : table.columns)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", column.name);
  return names;
}

std::string_view array_type(CellType type) {
  switch (type) {
    case integer:
      return "bigint[]";
    case blob:
      return "bytea[]";
    case text:
      return "text[]";
  }
  return {};
}

/// A row's key, for people.
std::string key_of(const CopiedTable& table, const CopiedRows& rows, std::size_t row) {
  const auto& key = rows.columns.front();
  return table.columns.front().type == blob ? to_hex(key.blobs[row])
                                            : fmt::format("{}", key.integers[row].value_or(0));
}

bool is_same(const CopiedColumn& column, const CopiedRows::Column& expected, std::size_t row,
             const postgres::Rows& found, std::size_t at) {
  if (column.type == blob) return found.bytes(row, at) == expected.blobs[row];
  if (column.type == text) return found.text(row, at) == expected.texts[row];
  const auto& number = expected.integers[row];
  if (!number) return found.is_null(row, at);
  return !found.is_null(row, at) && found.integer(row, at) == *number;
}

}  // namespace

std::span<const CopiedTable> copied_tables() noexcept {
  static constexpr std::array tables{
      CopiedTable{.name = "clients", .columns = clients, .has_sequence = true},
      CopiedTable{.name = "wireguard_peers", .columns = wireguard_peers, .has_instance = true},
      CopiedTable{.name = "mixnet_clients", .columns = mixnet_clients},
      CopiedTable{.name = "bandwidth", .columns = bandwidth},
      CopiedTable{.name = "spent_credentials", .columns = spent_credentials},
      CopiedTable{.name = "lp_sessions", .columns = lp_sessions, .has_sequence = true},
      CopiedTable{
          .name = "wireguard_removals", .columns = wireguard_removals, .has_instance = true},
      CopiedTable{.name = "released_addresses",
                  .columns = released_addresses,
                  .has_instance = true,
                  .has_sequence = true},
  };
  return tables;
}

sqlite::Result<SourceRows> SourceRows::begin(sqlite::Connection& connection,
                                             const CopiedTable& table) {
  SourceRows rows(table);
  auto statement = sqlite::Statement::prepare(
      connection, fmt::format("SELECT {} FROM {} ORDER BY {}", column_names(table), table.name,
                              table.columns.front().name));
  if (!statement) return std::unexpected(std::move(statement.error()));
  rows.statement_ = std::make_unique<sqlite::Statement>(*std::move(statement));
  rows.query_ = std::make_unique<sqlite::Query>(*rows.statement_);
  return rows;
}

sqlite::Result<CopiedRows> SourceRows::next(std::size_t limit) {
  CopiedRows rows;
  rows.columns.resize(table_->columns.size());
  while (query_ && rows.size < limit) {
    const auto row = query_->next();
    if (!row) return std::unexpected(row.error());
    if (!*row) {
      query_.reset();  // another step would begin anew
      break;
    }
    for (std::size_t i = 0; i < rows.columns.size(); ++i) {
      auto& column = rows.columns[i];
      const int at = static_cast<int>(i);
      if (table_->columns[i].type == blob) {
        const auto bytes = query_->blob(at);
        column.blobs.emplace_back(bytes.begin(), bytes.end());
      } else if (table_->columns[i].type == text) {
        column.texts.emplace_back(query_->text(at));
      } else {
        column.integers.push_back(query_->is_null(at) ? std::nullopt
                                                      : std::optional(query_->integer(at)));
      }
    }
    ++rows.size;
  }
  return rows;
}

postgres::Status insert_rows(postgres::Connection& connection, const CopiedTable& table,
                             const CopiedRows& rows, std::string_view instance) {
  postgres::Params params;
  std::string arrays;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const auto& column = rows.columns[i];
    const auto type = table.columns[i].type;
    arrays += fmt::format("{}${}::{}", i == 0 ? "" : ", ", i + 1, array_type(type));
    if (type == blob) {
      const std::vector<ByteView> views(column.blobs.begin(), column.blobs.end());
      params.add_array(views);
    } else if (type == text) {
      params.add_array(std::span(column.texts));
    } else {
      params.add_array(std::span(column.integers));
    }
  }
  std::string instance_name;
  std::string instance_value;
  if (table.has_instance) {
    params.add(instance);
    instance_name = ", instance";
    instance_value = fmt::format(", ${}::text", table.columns.size() + 1);
  }
  const auto inserted = connection.query(
      fmt::format("INSERT INTO {0} ({1}{2}) SELECT u.*{3} FROM unnest({4}) AS u ({1})", table.name,
                  column_names(table), instance_name, instance_value, arrays),
      params);
  if (!inserted) return std::unexpected(inserted.error());
  return {};
}

postgres::Result<TargetRows> TargetRows::begin(postgres::Connection& connection,
                                               const CopiedTable& table) {
  auto declared = connection.execute(fmt::format(
      "DECLARE copied_{0} NO SCROLL CURSOR FOR SELECT {1}{2} FROM {0} ORDER BY {3}", table.name,
      column_names(table), table.has_instance ? ", instance" : "", table.columns.front().name));
  if (!declared) return std::unexpected(std::move(declared.error()));
  return TargetRows(connection, table);
}

postgres::Result<std::optional<std::string>> TargetRows::differs_from(const CopiedRows& expected,
                                                                      std::string_view instance) {
  const auto found = connection_->query(fmt::format(
      "FETCH {} FROM copied_{}", std::max<std::size_t>(expected.size, 1), table_->name));
  if (!found) return std::unexpected(found.error());
  const auto same_size = std::min(expected.size, found->size());
  for (std::size_t row = 0; row < same_size; ++row) {
    for (std::size_t i = 0; i < table_->columns.size(); ++i) {
      if (is_same(table_->columns[i], expected.columns[i], row, *found, i)) continue;
      return fmt::format("{} of row {} of {} differs", table_->columns[i].name,
                         key_of(*table_, expected, row), table_->name);
    }
    if (table_->has_instance && found->text(row, table_->columns.size()) != instance) {
      return fmt::format("row {} of {} belongs to instance {}", key_of(*table_, expected, row),
                         table_->name, found->text(row, table_->columns.size()));
    }
  }
  if (found->size() < expected.size) {
    return fmt::format("row {} of {} is missing", key_of(*table_, expected, found->size()),
                       table_->name);
  }
  if (found->size() > expected.size) return fmt::format("{} has further rows", table_->name);
  return std::nullopt;
}

}  // namespace lp::db_maint
