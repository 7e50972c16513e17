#include "lib/file/exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

#include "lib/base/utf8.h"

namespace lp::file {
namespace {

constexpr unsigned for_everybody = 0644;

/// As a label's value has it.
std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : valid_utf8(value)) {
    if (c == '\n') {
      text += "\\n";
    } else {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
  }
  return text;
}

/// `{a="1",b="2"}`, or nothing.
std::string shown(const Exposition::Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels)
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escaped(value));
  return text.empty() ? text : "{" + text + "}";
}

constexpr std::string_view beginning = "# HELP ";

/// Whether `file` is not there, is empty, or has metrics of before.
bool may_be_replaced(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::status(file, error).type() == std::filesystem::file_type::not_found) {
    return true;
  }
  std::ifstream in(file, std::ios::binary);
  std::array<char, beginning.size()> start{};
  if (!in) return false;
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  const std::string_view found(start.data(), static_cast<std::size_t>(in.gcount()));
  return found.empty() || found == beginning;
}

}  // namespace

Exposition::Family& Exposition::family(std::string_view name, std::string_view help,
                                       std::string_view type) {
  const auto found = std::ranges::find(families_, name, &Family::name);
  if (found != families_.end()) return *found;
  return families_.emplace_back(std::string(name), std::string(help), type, "");
}

void Exposition::gauge(std::string_view name, std::string_view help, const Labels& labels,
                       double value) {
  family(name, help, "gauge").samples += fmt::format("{}{} {}\n", name, shown(labels), value);
}

void Exposition::gauge(std::string_view name, std::string_view help, const Labels& labels,
                       std::uint64_t value) {
  family(name, help, "gauge").samples += fmt::format("{}{} {}\n", name, shown(labels), value);
}

void Exposition::summary(std::string_view name, std::string_view help, const Labels& labels,
                         const std::vector<Quantile>& quantiles, double sum, std::uint64_t count) {
  auto& samples = family(name, help, "summary").samples;
  for (const auto& [quantile, value] : quantiles) {
    Labels with_quantile = labels;
    with_quantile.emplace_back("quantile", quantile);
    samples += fmt::format("{}{} {}\n", name, shown(with_quantile), value);
  }
  samples += fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, shown(labels), sum, count);
}

std::string Exposition::text() const {
  std::string text;
  for (const auto& [name, help, type, samples] : families_)
    text += fmt::format("{4}{0} {1}\n# TYPE {0} {2}\n{3}", name, help, type, samples, beginning);
  return text;
}

Outcome<void> write_textfile(const std::filesystem::path& file, const Exposition& metrics) {
  auto partial = PartialFile::create(file, for_everybody);
  if (!partial) return std::unexpected(std::move(partial.error()));
  if (!may_be_replaced(file)) {
    return std::unexpected(
        Error{.permission = false,
              .sentence =
                  fmt::format("{}: holds something other than metrics, and stays", file.string())});
  }
  if (auto written = partial->write(metrics.text()); !written) return written;
  return partial->put_in_place();
}

}  // namespace lp::file
