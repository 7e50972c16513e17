// Metrics in Prometheus's text format, and a file of them for the textfile collector of its node
// exporter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/file/partial_file.h"

namespace lp::file {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  /// A sample of a gauge. The first one of a name gives its help; all of a name stand together, as
  /// the format wants. Values of labels may hold anything: they are escaped, and what is no UTF-8
  /// is replaced.
  void gauge(std::string_view name, std::string_view help, const Labels& labels, double value);
  void gauge(std::string_view name, std::string_view help, const Labels& labels,
             std::uint64_t value);

  struct Quantile {
    std::string_view quantile;  ///< "0.5"
    double value = 0;
  };
  void summary(std::string_view name, std::string_view help, const Labels& labels,
               const std::vector<Quantile>& quantiles, double sum, std::uint64_t count);

  [[nodiscard]] std::string text() const;

 private:
  struct Family {
    std::string name;
    std::string help;
    std::string_view type;
    std::string samples;
  };
  Family& family(std::string_view name, std::string_view help, std::string_view type);

  std::vector<Family> families_;
};

/// Written beside and renamed, mode 0644: the collector sees the old file or the new one. What is
/// there and does not begin as metrics do stays, and is an error: a slip of the hand would replace
/// a wallet, a key or a list of targets.
[[nodiscard]] Outcome<void> write_textfile(const std::filesystem::path& file,
                                           const Exposition& metrics);

}  // namespace lp::file
