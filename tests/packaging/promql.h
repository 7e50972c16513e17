// PromQL, as far as it takes to know which series a query names.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lp::test {

struct Matcher {
  std::string label;
  std::string op;  ///< = != =~ !~
  std::string value;
  friend bool operator==(const Matcher&, const Matcher&) = default;
};

struct Selector {
  std::string metric;
  std::vector<Matcher> matchers = {};
  friend bool operator==(const Selector&, const Selector&) = default;
};

struct Query {
  std::vector<Selector> selectors;
  std::set<std::string> grouped;  ///< labels of by, without, on, ignoring, group_left, group_right
};

/// Throws std::invalid_argument where the text is no query, or a selector names no metric.
[[nodiscard]] Query read_query(std::string_view text);

using Labels = std::map<std::string, std::string>;

/// Which series there are: metric to the labels of each.
using Series = std::map<std::string, std::vector<Labels>>;

/// Adds the series of a text in the exposition format.
void add_series(Series& series, std::string_view exposition);

/// What the query names that no series has: a metric, a label, a value, or a combination of values.
/// `job` and `instance` are Prometheus's own and pass. Alternatives
/// of =~ and !~ are taken one by one.
[[nodiscard]] std::vector<std::string> unknown_names(const Query& query, const Series& series);

}  // namespace lp::test
