#include "gateway/config/toml_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace lp::gateway::config {
namespace {

bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

void append_utf8(std::string& to, std::uint32_t code) {
  const auto put = [&to](std::uint32_t byte) { to += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  std::expected<std::vector<TomlEntry>, TomlError> read() {
    std::vector<TomlEntry> entries;
    for (;;) {
      skip_blank_lines();
      if (at_end()) return entries;
      TomlEntry entry;
      entry.line = line_;
      if (!read_key(entry.key) || !read_value(entry.value) || !end_line()) {
        return std::unexpected(error_);
      }
      const auto same = [&](const TomlEntry& other) { return other.key == entry.key; };
      const auto first = std::find_if(entries.begin(), entries.end(), same);
      if (first != entries.end()) {
        return std::unexpected(TomlError{
            entry.line,
            entry.key + " is set a second time, first in line " + std::to_string(first->line)});
      }
      entries.push_back(std::move(entry));
    }
  }

 private:
  [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\n' : text_[position_]; }
  [[nodiscard]] bool looking_at(std::string_view what) const {
    return text_.substr(position_).starts_with(what);
  }
  bool fail(std::string what) {
    error_ = {line_, std::move(what)};
    return false;
  }

  void skip_spaces() {
    while (!at_end() && (peek() == ' ' || peek() == '\t' || looking_at("\r\n")))
      ++position_;
  }
  void skip_comment() {
    if (peek() != '#') return;
    while (!at_end() && peek() != '\n')
      ++position_;
  }
  void skip_blank_lines() {
    for (;;) {
      skip_spaces();
      skip_comment();
      if (at_end() || peek() != '\n') return;
      ++position_;
      ++line_;
    }
  }

  bool end_line() {
    skip_spaces();
    if (peek() != '#' && peek() != '\n')
      return fail("there is more after the value than a comment");
    skip_comment();
    return true;
  }

  bool read_key(std::string& key) {
    if (peek() == '[') return fail("tables ([...]) are not used in this file");
    if (peek() == '"' || peek() == '\'') {
      if (!read_string(key)) return false;
    } else {
      while (!at_end() && is_bare(peek()))
        key += text_[position_++];
    }
    if (key.empty()) return fail("the line does not begin with a key");
    skip_spaces();
    if (peek() == '.') return fail("dotted keys are not used in this file");
    if (peek() != '=') return fail("there is no = after " + key);
    ++position_;
    skip_spaces();
    return true;
  }

  bool read_value(TomlValue& value) {
    if (peek() == '"' || peek() == '\'') {
      value.kind = TomlValue::Kind::string;
      return read_string(value.texts.emplace_back());
    }
    if (peek() == '[') return read_array(value);
    if (peek() == '{') return fail("inline tables ({...}) are not used in this file");
    return read_bare_value(value);
  }

  bool read_array(TomlValue& value) {
    value.kind = TomlValue::Kind::array;
    ++position_;
    for (;;) {
      skip_blank_lines();
      if (at_end()) return fail("an array is not closed with ]");
      if (peek() == ']') break;
      if (peek() != '"' && peek() != '\'') return fail("an array holds strings in quotes here");
      if (!read_string(value.texts.emplace_back())) return false;
      skip_blank_lines();
      if (peek() == ',' && !at_end()) {
        ++position_;
      } else if (at_end() || peek() != ']') {
        return fail("the values of an array are separated by commas and closed with ]");
      }
    }
    ++position_;
    return true;
  }

  bool read_string(std::string& to) {
    const char quote = peek();
    if (looking_at(std::string(3, quote))) return fail("multi-line strings are not used here");
    ++position_;
    for (;;) {
      if (at_end() || peek() == '\n') return fail("a string is not closed in its line");
      const char c = text_[position_++];
      if (c == quote) return true;
      if (is_control(c)) return fail("a string has a control character in it");
      if (c == '\\' && quote == '"') {
        if (!read_escape(to)) return false;
      } else {
        to += c;
      }
    }
  }

  bool read_escape(std::string& to) {
    static constexpr std::string_view letters = "btnfr\"\\";
    static constexpr std::string_view meanings = "\b\t\n\f\r\"\\";
    const char letter = peek();
    ++position_;
    if (const std::size_t at = letters.find(letter); at != std::string_view::npos) {
      to += meanings[at];
      return true;
    }
    if (letter != 'u' && letter != 'U') return fail("a string has an unknown escape after \\");
    const std::string_view digits = text_.substr(position_, letter == 'u' ? 4 : 8);
    std::uint32_t code = 0;
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    const bool complete = digits.size() == (letter == 'u' ? 4U : 8U) &&
                          stop == digits.data() + digits.size() && error == std::errc{};
    if (!complete || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return fail("a string has an escape that is no character");
    }
    append_utf8(to, code);
    position_ += digits.size();
    return true;
  }

  bool read_bare_value(TomlValue& value) {
    std::string word;
    while (!at_end() && (is_bare(peek()) || peek() == '.' || peek() == '+' || peek() == ':')) {
      word += text_[position_++];
    }
    if (word.empty()) return fail("there is no value after =");
    if (word == "true" || word == "false") {
      value.kind = TomlValue::Kind::boolean;
      value.texts.push_back(word);
      return true;
    }
    return read_decimal(value, word);
  }

  // Integers and fractions without exponent; TOML allows _ between digits.
  bool read_decimal(TomlValue& value, const std::string& word) {
    std::string number;
    bool after_digit = false;
    bool points = false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      const char c = word[i];
      const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
      const bool sign = i == 0 && (c == '-' || c == '+');
      const bool point = c == '.' && after_digit && !points && i + 1 < word.size();
      const bool separator = c == '_' && after_digit && i + 1 < word.size() && word[i + 1] != '.';
      if (!digit && !sign && !point && !separator) {
        return fail("\"" + word + "\" is no number, true or false; a text is put in quotes");
      }
      if (c != '_' && c != '+') number += c;
      points = points || point;
      after_digit = digit;
    }
    if (!after_digit) return fail("\"" + word + "\" is no number");
    value.kind = points ? TomlValue::Kind::fraction : TomlValue::Kind::integer;
    value.texts.push_back(std::move(number));
    return true;
  }

  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
  TomlError error_;
};

}  // namespace

std::expected<std::vector<TomlEntry>, TomlError> read_toml(std::string_view text) {
  return Reader(text).read();
}

}  // namespace lp::gateway::config
