#include "lib/base/encoding.h"
#include "lib/postgres/postgres.h"

namespace lp::postgres {
namespace {

std::string bytea(ByteView bytes) {
  return "\\x" + to_hex(bytes);
}

/// "{…}", with what `append` writes for each value.
template <typename Values, typename Append>
std::string array(const Values& values, Append append) {
  std::string text = "{";
  bool first = true;
  for (const auto& value : values) {
    if (!std::exchange(first, false)) text += ',';
    append(text, value);
  }
  text += '}';
  return text;
}

void append_quoted(std::string& text, std::string_view value) {
  text += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  text += '"';
}

}  // namespace

Params& Params::add(std::int64_t value) {
  values_.emplace_back(std::to_string(value));
  return *this;
}

Params& Params::add_bool(bool value) {
  values_.emplace_back(value ? "t" : "f");
  return *this;
}

Params& Params::add(ByteView bytes) {
  values_.emplace_back(bytea(bytes));
  return *this;
}

Params& Params::add(std::string_view text) {
  values_.emplace_back(text);
  return *this;
}

Params& Params::add_null() {
  values_.emplace_back(std::nullopt);
  return *this;
}

Params& Params::add_array(std::span<const std::int64_t> values) {
  values_.emplace_back(
      array(values, [](std::string& text, std::int64_t value) { text += std::to_string(value); }));
  return *this;
}

Params& Params::add_array(std::span<const std::optional<std::int64_t>> values) {
  values_.emplace_back(array(values, [](std::string& text, const auto& value) {
    text += value ? std::to_string(*value) : "NULL";
  }));
  return *this;
}

Params& Params::add_array(const std::vector<bool>& values) {
  values_.emplace_back(
      array(values, [](std::string& text, bool value) { text += value ? 't' : 'f'; }));
  return *this;
}

Params& Params::add_array(std::span<const ByteView> values) {
  values_.emplace_back(
      array(values, [](std::string& text, ByteView value) { append_quoted(text, bytea(value)); }));
  return *this;
}

Params& Params::add_array(std::span<const ByteArray<32>> values) {
  values_.emplace_back(array(values, [](std::string& text, const ByteArray<32>& value) {
    append_quoted(text, bytea(value));
  }));
  return *this;
}

Params& Params::add_array(std::span<const std::string> values) {
  values_.emplace_back(array(
      values, [](std::string& text, const std::string& value) { append_quoted(text, value); }));
  return *this;
}

}  // namespace lp::postgres
