#include "probes/options/target_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe::options {
namespace {

constexpr std::size_t max_size = std::size_t{16} << 20;

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

std::expected<std::string, std::string> read_all(int fd) {
  std::string text;
  std::array<char, 65'536> part;
  while (true) {
    const ssize_t size = ::read(fd, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::unexpected(client::errno_text(errno));
    if (size == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
    if (text.size() > max_size) return std::unexpected("is longer than 16 MiB");
  }
}

}  // namespace

TargetLines parse_targets(std::string_view text, std::string_view name) {
  TargetLines lines;
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";  // some editors begin with it
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (auto target = parse_target(line)) {
      lines.targets.push_back(std::move(*target));
    } else {
      lines.bad.push_back(fmt::format("{}:{}: {}", name, number, target.error()));
    }
  }
  return lines;
}

std::expected<TargetLines, std::string> read_targets(const std::string& path) {
  const bool is_input = path == "-";
  const std::string name = is_input ? "standard input" : printable(path);
  const client::Descriptor file(is_input ? ::dup(STDIN_FILENO)
                                         : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::unexpected(name + ": " + client::errno_text(errno));
  const auto text = read_all(file.get());
  if (!text) return std::unexpected(name + ": " + text.error());
  return parse_targets(*text, name);
}

}  // namespace lp::probe::options
