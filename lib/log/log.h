// A daemon's log: lines on standard error, from any thread. A thread of its own writes them, so
// that nobody waits for whoever reads them; what is behind it stays out of this header.
//
// A message is one line of UTF-8, whatever is in it: control characters are escaped, for clients
// choose part of what is logged. Secrets do not go in: their types print as redacted.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace lp::log {

enum class Level : std::uint8_t { trace, debug, info, warning, error, off };

/// By the names above.
[[nodiscard]] std::optional<Level> parse_level(std::string_view name);

/// What a line looks like.
///   text     2026-11-22T05:00:00.123Z warning: no answer peer=192.0.2.1:40000 error="timed out"
///   json     {"time":"2026-11-22T05:00:00.123Z","level":"warning","message":"no answer",…}
///   journal  <4>no answer peer=192.0.2.1:40000 error="timed out"
/// The journal takes the priority from the line and has a time of its own (sd-daemon(3)).
enum class Format : std::uint8_t {
  automatic,  ///< journal where standard error goes there (systemd.exec(5), JOURNAL_STREAM), or
              ///< text
  text,
  json,
  journal,
};
/// "auto", "text", "json" or "journal".
[[nodiscard]] std::optional<Format> parse_format(std::string_view name);

/// Until the first call: warning.
void set_level(Level level);
/// Until the first call: text.
void set_format(Format format);
[[nodiscard]] bool enabled(Level level);

/// A literal of small letters and underscores, and none of what every line has: anything else does
/// not compile.
class FieldName {
 public:
  consteval FieldName(const char* name) : text_(name) {
    if (text_.empty() || text_.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != text_.npos ||
        text_ == "time" || text_ == "level" || text_ == "message") {
      throw "no name for a field";
    }
  }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// What a line says beside its message. A text is referred to and must outlive it: made in the
/// call, it does.
class Field {
 public:
  Field(FieldName name, std::string_view value) noexcept : name_(name.text()), text_(value) {}
  Field(FieldName name, const char* value) noexcept : Field(name, std::string_view(value)) {}
  Field(FieldName name, const std::string& value) noexcept : Field(name, std::string_view(value)) {}
  template <std::integral T>
  Field(FieldName name, T value) noexcept : name_(name.text()) {
    const auto end = std::to_chars(digits_.data(), digits_.data() + digits_.size(), value);
    size_ = static_cast<std::size_t>(end.ptr - digits_.data());
  }

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] bool is_number() const noexcept { return size_ > 0; }
  [[nodiscard]] std::string_view value() const noexcept {
    return is_number() ? std::string_view(digits_.data(), size_) : text_;
  }

 private:
  std::string_view name_;
  std::string_view text_;
  std::array<char, 24> digits_{};
  std::size_t size_ = 0;
};
using Fields = std::initializer_list<Field>;

/// Logging never throws and never waits for the reader: a line for which there is no memory is
/// lost, and so are the oldest of 4,096 lines that nobody reads.
void write(Level level, std::string_view message, Fields fields = {}) noexcept;
inline void debug(std::string_view message, Fields fields = {}) noexcept {
  write(Level::debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) noexcept {
  write(Level::info, message, fields);
}
inline void warning(std::string_view message, Fields fields = {}) noexcept {
  write(Level::warning, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) noexcept {
  write(Level::error, message, fields);
}

/// For what strangers can cause as often as they like: of each `cause` (a fixed, short name) ten
/// lines in ten seconds are written; the first line after that tells in the field `suppressed` how
/// many were left out. `cause` is a field of the line, too. At level trace nothing is left out.
void write_limited(Level level, std::string_view cause, std::string_view message,
                   Fields fields = {}) noexcept;

/// Waits until the lines so far are written, half a second at most. The end of the process does so
/// by itself.
void flush();

}  // namespace lp::log
