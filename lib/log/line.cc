#include "lib/log/line.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

#include "lib/base/utf8.h"

namespace lp::log {
namespace {

constexpr unsigned lines_per_window = 10;
constexpr std::chrono::seconds window{10};

// Of syslog(3), for enum Level.
constexpr std::array<int, 6> priorities{7, 7, 6, 4, 3, 7};

/// RFC 3339, with milliseconds.
std::string format_time(std::chrono::system_clock::time_point time) {
  const auto milliseconds =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(milliseconds / 1000)),
                     milliseconds % 1000);
}

/// Whether a control character begins at `at`: C0, DEL, or C1 as UTF-8 has it, which terminals obey
/// as well.
bool is_control(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7f) return true;
  return byte == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0;
}

/// Its code point, and `at` moved to its last byte.
unsigned control(std::string_view text, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  return byte == 0xc2 ? static_cast<unsigned char>(text[++at]) : byte;
}

std::string escaped_text(std::string_view given, bool quoted) {
  const std::string text = valid_utf8(given);
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_control(text, i)) {
      escaped += fmt::format("\\x{:02x}", control(text, i));
    } else {
      if (quoted && (text[i] == '"' || text[i] == '\\')) escaped += '\\';
      escaped += text[i];
    }
  }
  return escaped;
}

std::string json_string(std::string_view given) {
  const std::string text = valid_utf8(given);
  std::string escaped = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_control(text, i)) {
      escaped += fmt::format("\\u{:04x}", control(text, i));
    } else {
      if (text[i] == '"' || text[i] == '\\') escaped += '\\';
      escaped += text[i];
    }
  }
  return escaped + '"';
}

/// As it is where it is one word, or in quotes.
std::string text_value(const Field& field) {
  const std::string_view value = field.value();
  const bool is_word = !value.empty() && value.find_first_of(" \"\\=") == std::string::npos;
  const std::string escaped = escaped_text(value, !is_word);
  return is_word ? escaped : '"' + escaped + '"';
}

std::string message_and_fields(std::string_view message, std::span<const Field> fields) {
  std::string line = escaped_text(message, false);
  for (const Field& field : fields)
    line += fmt::format(" {}={}", field.name(), text_value(field));
  return line;
}

}  // namespace

std::string format_line(Format format, std::chrono::system_clock::time_point time, Level level,
                        std::string_view message, std::span<const Field> fields) {
  const auto index = static_cast<std::size_t>(level);
  if (format == Format::journal) {
    return fmt::format("<{}>{}", priorities[index], message_and_fields(message, fields));
  }
  if (format != Format::json) {
    return fmt::format("{} {}: {}", format_time(time), level_names[index],
                       message_and_fields(message, fields));
  }
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","message":{})", format_time(time),
                                 level_names[index], json_string(message));
  for (const Field& field : fields) {
    line += fmt::format(R"(,"{}":{})", field.name(),
                        field.is_number() ? field.value() : json_string(field.value()));
  }
  return line + '}';
}

std::optional<std::uint64_t> RateLimit::admit(std::string_view cause, Time now) {
  auto found = windows_.find(cause);
  if (found == windows_.end()) found = windows_.emplace(cause, Window{now}).first;
  Window& of_cause = found->second;
  std::uint64_t left_out = 0;
  if (now - of_cause.start >= window) {
    left_out = of_cause.left_out;
    of_cause = Window{now};
  }
  if (of_cause.written == lines_per_window) {
    ++of_cause.left_out;
    return std::nullopt;
  }
  ++of_cause.written;
  return left_out;
}

bool is_journal_stream(std::string_view variable, std::uint64_t device, std::uint64_t inode) {
  return variable == fmt::format("{}:{}", device, inode);
}

}  // namespace lp::log
