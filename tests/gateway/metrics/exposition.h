// The Prometheus text format, as far as the tests read it.
#pragma once

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace lp::gateway::metrics::test {

struct Exposition {
  std::map<std::string, std::string> types;  ///< by family
  std::map<std::string, double> samples;     ///< by name with labels, as written

  [[nodiscard]] double at(const std::string& sample) const {
    const auto found = samples.find(sample);
    if (found == samples.end()) throw std::out_of_range("no sample " + sample);
    return found->second;
  }
  /// Over all label values.
  [[nodiscard]] double sum(const std::string& name) const {
    double total = 0;
    for (const auto& [sample, value] : samples) {
      if (sample.substr(0, sample.find('{')) == name) total += value;
    }
    return total;
  }
};

inline Exposition parse(const std::string& text) {
  Exposition result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      const std::size_t space = line.rfind(' ');
      result.types[line.substr(7, space - 7)] = line.substr(space + 1);
    } else if (!line.starts_with('#')) {
      const std::size_t space = line.rfind(' ');
      result.samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
    }
  }
  return result;
}

}  // namespace lp::gateway::metrics::test
