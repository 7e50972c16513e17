// What can be said of any row of the table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "gateway/config/settings_table.h"
#include "gateway/config/values.h"
#include "lib/base/secret.h"

namespace lp::gateway::config {
namespace {

using Texts = std::vector<std::string>;

std::string toml_string(std::string_view value) {
  std::string result = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace

std::string Setting::flag() const {
  std::string name = "--" + std::string(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string Setting::environment() const {
  std::string name = "LP_GATEWAY_";
  for (const char c : key) {
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

const Setting* find_setting(std::string_view key) {
  const auto& table = settings_table();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Setting& row) { return row.key == key; });
  return found == table.end() ? nullptr : &*found;
}

std::string_view nearest_key(std::string_view key) {
  std::string_view nearest;
  // Two slips, or three in a long name. Beyond any key's length there is nothing to compare.
  std::size_t limit = key.size() > 12 ? 4 : 3;
  if (key.size() > 64) return nearest;
  for (const auto& row : settings_table()) {
    const std::size_t distance = edit_distance(key, row.key);
    if (distance < limit) {
      limit = distance;
      nearest = row.key;
    }
  }
  return nearest;
}

std::string toml_value(const Setting& setting, const Texts& texts) {
  switch (setting.shape) {
    case Shape::number:
    case Shape::seconds:
    case Shape::boolean:
      return texts.front();
    case Shape::text:
      return toml_string(texts.front());
    case Shape::list:
      break;
  }
  Texts values;
  for (const auto& one : texts)
    values.push_back(toml_string(one));
  return fmt::format("[{}]", fmt::join(values, ", "));
}

bool holds_secret(const Setting& setting, const Texts& texts) {
  if (setting.without_secret != nullptr) {
    return setting.without_secret(texts.front()) != texts.front();
  }
  return setting.secret && texts.front() != "none" && texts.front() != "identity";
}

std::string shown_value(const Setting& setting, const Settings& settings) {
  const Texts texts = setting.print(settings);
  if (setting.without_secret != nullptr) {
    return toml_value(setting, {setting.without_secret(texts.front())});
  }
  return holds_secret(setting, texts) ? fmt::format("\"{}\"", redacted)
                                      : toml_value(setting, texts);
}

}  // namespace lp::gateway::config
