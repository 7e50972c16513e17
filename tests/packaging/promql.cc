#include "tests/packaging/promql.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace lp::test {
namespace {

const std::set<std::string_view> grouping{"by",       "without",    "on",
                                          "ignoring", "group_left", "group_right"};
/// Words between operands, and aggregations, which `by` may part from their parenthesis.
const std::set<std::string_view> keywords{"and", "or",  "unless", "bool",    "offset", "sum",
                                          "min", "max", "avg",    "count",   "topk",   "bottomk",
                                          "inf", "nan", "group",  "quantile"};
const std::set<std::string_view> target_labels{"job", "instance"};

bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':';
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  Query read() {
    Query query;
    for (skip_spaces(); !rest_.empty(); skip_spaces()) {
      const char c = rest_.front();
      if (starts_name(c)) {
        read_word(query);
      } else if (c == '[') {
        (void)take_until(']');
      } else if (c == '{') {
        fail("a selector without a metric");
      } else if (c == '"' || c == '\'') {
        (void)quoted();
      } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
        // A number or a duration: its unit is no name.
        while (!rest_.empty() && (std::isalnum(static_cast<unsigned char>(rest_.front())) != 0 ||
                                  rest_.front() == '.'))
          rest_.remove_prefix(1);
      } else if (std::string_view("()+-*/%^<>=!,").contains(c)) {
        rest_.remove_prefix(1);
      } else {
        fail("an unexpected character");
      }
    }
    return query;
  }

 private:
  void read_word(Query& query) {
    const std::string word = name();
    skip_spaces();
    if (grouping.contains(word)) {
      if (rest_.starts_with('(')) read_grouped(query);
    } else if (keywords.contains(word) || rest_.starts_with('(')) {
      return;
    } else {
      query.selectors.push_back({.metric = word});
      if (rest_.starts_with('{')) read_matchers(query.selectors.back().matchers);
    }
  }

  void read_grouped(Query& query) {
    std::istringstream labels(take_until(')').substr(1));
    for (std::string label; std::getline(labels, label, ',');) {
      std::erase(label, ' ');
      if (!label.empty()) query.grouped.insert(label);
    }
  }

  void read_matchers(std::vector<Matcher>& matchers) {
    rest_.remove_prefix(1);
    for (skip_spaces(); !rest_.starts_with('}'); skip_spaces()) {
      if (rest_.empty() || !starts_name(rest_.front())) fail("a label is missing");
      Matcher matcher{.label = name(), .op = {}, .value = {}};
      skip_spaces();
      while (!rest_.empty() && std::string_view("=!~").contains(rest_.front())) {
        matcher.op += rest_.front();
        rest_.remove_prefix(1);
      }
      skip_spaces();
      matcher.value = quoted();
      matchers.push_back(std::move(matcher));
      skip_spaces();
      if (rest_.starts_with(',')) rest_.remove_prefix(1);
    }
    rest_.remove_prefix(1);
  }

  std::string name() {
    const auto* const end = std::ranges::find_if_not(rest_, [](char c) {
      return starts_name(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
    const std::string name(rest_.begin(), end);
    rest_.remove_prefix(name.size());
    return name;
  }

  std::string quoted() {
    if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\'')) fail("no quotation mark");
    const char mark = rest_.front();
    rest_.remove_prefix(1);
    return take_until(mark);
  }

  /// What stands before `last`, which goes too.
  std::string take_until(char last) {
    const std::size_t at = rest_.find(last);
    if (at == std::string_view::npos) fail(std::string("no ") + last);
    std::string text(rest_.substr(0, at));
    rest_.remove_prefix(at + 1);
    return text;
  }

  void skip_spaces() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0)
      rest_.remove_prefix(1);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument(what + " before \"" + std::string(rest_) + "\"");
  }

  std::string_view rest_;
};

std::vector<std::string> alternatives(const Matcher& matcher) {
  if (!matcher.op.ends_with('~')) return {matcher.value};
  std::vector<std::string> result;
  std::istringstream parts(matcher.value);
  for (std::string part; std::getline(parts, part, '|');)
    result.push_back(part);
  return result;
}

bool has(const Labels& labels, const std::string& label, const std::string& value) {
  const auto found = labels.find(label);
  return found != labels.end() && found->second == value;
}

/// Whether one series has all values that = asks for.
bool can_match(const Selector& selector, const std::vector<Labels>& series) {
  return std::ranges::any_of(series, [&](const Labels& labels) {
    return std::ranges::all_of(selector.matchers, [&](const Matcher& matcher) {
      return matcher.op != "=" || target_labels.contains(matcher.label) ||
             has(labels, matcher.label, matcher.value);
    });
  });
}

void check_selector(const Selector& selector, const Series& series,
                    std::vector<std::string>& unknown) {
  const auto found = series.find(selector.metric);
  if (found == series.end()) {
    unknown.push_back(selector.metric);
    return;
  }
  const std::size_t before = unknown.size();
  for (const Matcher& matcher : selector.matchers) {
    if (target_labels.contains(matcher.label)) continue;
    for (const std::string& value : alternatives(matcher)) {
      if (std::ranges::none_of(found->second, [&](const Labels& labels) {
            return has(labels, matcher.label, value);
          })) {
        unknown.push_back(selector.metric + "{" + matcher.label + "=\"" + value + "\"}");
      }
    }
  }
  if (unknown.size() == before && !can_match(selector, found->second)) {
    unknown.push_back(selector.metric + " with all its labels together");
  }
}

}  // namespace

Query read_query(std::string_view text) {
  return Reader(text).read();
}

void add_series(Series& series, std::string_view exposition) {
  std::istringstream lines{std::string(exposition)};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const Query query = read_query(line.substr(0, line.rfind(' ')));
    for (const Selector& selector : query.selectors) {
      Labels labels;
      for (const Matcher& matcher : selector.matchers)
        labels[matcher.label] = matcher.value;
      series[selector.metric].push_back(std::move(labels));
    }
  }
}

std::vector<std::string> unknown_names(const Query& query, const Series& series) {
  std::vector<std::string> unknown;
  std::set<std::string> labels(target_labels.begin(), target_labels.end());
  for (const Selector& selector : query.selectors) {
    check_selector(selector, series, unknown);
    const auto found = series.find(selector.metric);
    if (found == series.end()) continue;
    for (const Labels& one : found->second) {
      for (const auto& [label, value] : one)
        labels.insert(label);
    }
  }
  for (const std::string& label : query.grouped) {
    if (!labels.contains(label)) unknown.push_back("label " + label);
  }
  return unknown;
}

}  // namespace lp::test
