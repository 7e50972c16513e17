#include "probes/tunnel/dns.h"

#include <algorithm>
#include <optional>

namespace lp::probe::tunnel {
namespace {

constexpr std::size_t dns_header = 12;
constexpr std::size_t max_label = 63;
constexpr std::size_t max_host_name = 253;
constexpr std::size_t max_encoded_name = 255;
constexpr std::uint16_t class_internet = 1;
constexpr std::uint16_t type_cname = 5;
/// A chain longer than this is no use to anybody.
constexpr std::size_t max_aliases = 16;
constexpr std::size_t max_records = 128;

constexpr std::uint16_t flag_response = 0x8000;
constexpr std::uint16_t flag_truncated = 0x0200;
constexpr std::uint16_t flag_recursion_desired = 0x0100;
constexpr std::uint16_t opcode_mask = 0x7800;
constexpr std::uint16_t rcode_mask = 0x000f;

char lower_case(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Names are compared without regard to case (RFC 1035, section 2.3.3).
std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower_case);
  return out;
}

/// A cursor over a message; everything fails at its end.
class MessageReader {
 public:
  explicit MessageReader(ByteView message) : message_(message) {}

  std::optional<std::uint16_t> u16() {
    const auto bytes = take(2);
    if (!bytes) return std::nullopt;
    return load_be<std::uint16_t>(bytes->data());
  }

  std::optional<ByteView> take(std::size_t size) {
    if (message_.size() - at_ < size) return std::nullopt;
    const ByteView taken = message_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  /// A name in lower case with dots between its labels. A pointer must lead to before where the
  /// name that it continues began, so that a name cannot contain itself.
  std::optional<std::string> name() {
    std::string text;
    std::size_t at = at_;
    std::size_t floor = at_;  // pointers lead below this
    std::size_t encoded = 1;
    bool jumped = false;
    while (true) {
      if (at >= message_.size()) return std::nullopt;
      const std::uint8_t length = message_[at];
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= message_.size()) return std::nullopt;
        if (!jumped) at_ = at + 2;
        jumped = true;
        const std::size_t target = load_be<std::uint16_t>(message_.data() + at) & 0x3fffU;
        if (target >= floor) return std::nullopt;
        floor = target;
        at = target;
        continue;
      }
      if (length > max_label) return std::nullopt;  // the two forms that were never used
      ++at;
      if (length == 0) break;
      encoded += length + std::size_t{1};
      if (encoded > max_encoded_name || message_.size() - at < length) return std::nullopt;
      if (!text.empty()) text += '.';
      for (std::size_t i = 0; i < length; ++i) {
        const char c = static_cast<char>(message_[at + i]);
        if (c == '.') return std::nullopt;  // it would look like two labels
        text += lower_case(c);
      }
      at += length;
    }
    if (!jumped) at_ = at;
    return text;
  }

  [[nodiscard]] std::size_t position() const { return at_; }

 private:
  ByteView message_;
  std::size_t at_ = 0;
};

struct Header {
  std::uint16_t id = 0, flags = 0, questions = 0, answers = 0;
};

std::optional<Header> read_header(MessageReader& reader) {
  const auto bytes = reader.take(dns_header);
  if (!bytes) return std::nullopt;
  const auto field = [&](std::size_t i) { return load_be<std::uint16_t>(bytes->data() + 2 * i); };
  return Header{field(0), field(1), field(2), field(3)};
}

struct Record {
  std::string owner;
  std::uint16_t type = 0;
  std::uint16_t record_class = 0;
  ByteView data;
  std::optional<std::string> target;  ///< of an alias
};

std::optional<Record> read_record(MessageReader& reader, ByteView message) {
  Record record;
  auto owner = reader.name();
  const auto type = reader.u16();
  const auto record_class = reader.u16();
  const auto time_to_live = reader.take(4);
  const auto size = reader.u16();
  if (!owner || !type || !record_class || !time_to_live || !size) return std::nullopt;
  const std::size_t begin = reader.position();
  const auto data = reader.take(*size);
  if (!data) return std::nullopt;
  record.owner = std::move(*owner);
  record.type = *type;
  record.record_class = *record_class;
  record.data = *data;
  if (*type == type_cname && *record_class == class_internet) {
    MessageReader inside(message.first(begin + *size));
    (void)inside.take(begin);
    record.target = inside.name();
    // The name must be all that the record has.
    if (!record.target || inside.position() != begin + *size) return std::nullopt;
  }
  return record;
}

/// A record's address, where it is of the type asked for.
std::optional<messages::IpAddress> address_of(const Record& record, RecordType type) {
  if (record.record_class != class_internet || record.type != static_cast<std::uint16_t>(type)) {
    return std::nullopt;
  }
  if (type == RecordType::a && record.data.size() == 4) {
    return messages::IpV4{to_array<4>(record.data)};
  }
  if (type == RecordType::aaaa && record.data.size() == 16) {
    return messages::IpV6{to_array<16>(record.data)};
  }
  return std::nullopt;
}

/// Follows aliases from `name` in whatever order they stand, then collects.
std::vector<messages::IpAddress> collect(const std::vector<Record>& records, std::string name,
                                         RecordType type) {
  for (std::size_t i = 0; i < max_aliases; ++i) {
    const auto alias = std::ranges::find_if(
        records, [&](const Record& record) { return record.target && record.owner == name; });
    if (alias == records.end()) break;
    name = *alias->target;
  }
  std::vector<messages::IpAddress> addresses;
  for (const auto& record : records) {
    if (record.owner != name) continue;
    if (const auto address = address_of(record, type)) addresses.push_back(*address);
  }
  return addresses;
}

std::optional<DnsError> error_of_rcode(std::uint16_t rcode) {
  constexpr std::uint16_t name_error = 3;
  if (rcode == 0) return std::nullopt;
  return rcode == name_error ? DnsError::name_unknown : DnsError::refused;
}

}  // namespace

bool is_host_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > max_host_name) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const char l = lower_case(c);
    const bool allowed = (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!allowed || ++label > max_label) return false;
  }
  return label > 0;
}

Bytes make_query(std::uint16_t id, const Question& question) {
  Bytes message(dns_header);
  store_be(message.data(), id);
  store_be(message.data() + 2, flag_recursion_desired);
  store_be(message.data() + 4, std::uint16_t{1});
  std::string_view rest = question.name;
  while (!rest.empty()) {
    const auto label = rest.substr(0, rest.find('.'));
    message.push_back(static_cast<std::uint8_t>(label.size()));
    message.insert(message.end(), label.begin(), label.end());
    rest.remove_prefix(std::min(label.size() + 1, rest.size()));
  }
  message.push_back(0);
  const std::size_t at = message.size();
  message.resize(at + 4);
  store_be(message.data() + at, static_cast<std::uint16_t>(question.type));
  store_be(message.data() + at + 2, class_internet);
  return message;
}

std::string_view gloss(DnsError error) noexcept {
  switch (error) {
    case DnsError::not_the_answer:
      return "no answer";
    case DnsError::malformed:
      return "the answer makes no sense";
    case DnsError::truncated:
      return "the answer is truncated";
    case DnsError::name_unknown:
      return "the name does not exist";
    case DnsError::refused:
      return "the resolver refuses or failed";
    case DnsError::no_address:
      return "the name has no such address";
  }
  return {};
}

std::expected<std::vector<messages::IpAddress>, DnsError> parse_answer(ByteView message,
                                                                       std::uint16_t id,
                                                                       const Question& question) {
  const auto refuse = [](DnsError error) { return std::unexpected(error); };
  MessageReader reader(message);
  const auto header = read_header(reader);
  if (!header || header->id != id || (header->flags & flag_response) == 0 ||
      (header->flags & opcode_mask) != 0) {
    return refuse(DnsError::not_the_answer);
  }
  const auto rcode_error = error_of_rcode(static_cast<std::uint16_t>(header->flags & rcode_mask));
  // Some resolvers leave the question out of an error; an answer has it.
  if (header->questions == 0 && rcode_error) return refuse(*rcode_error);
  if (header->questions != 1) return refuse(DnsError::not_the_answer);
  const auto name = reader.name();
  const auto type = reader.u16();
  const auto question_class = reader.u16();
  if (!name || !type || !question_class) return refuse(DnsError::malformed);
  if (*name != lowered(question.name) || *type != static_cast<std::uint16_t>(question.type) ||
      *question_class != class_internet) {
    return refuse(DnsError::not_the_answer);
  }
  if (rcode_error) return refuse(*rcode_error);
  if (header->answers > max_records) return refuse(DnsError::malformed);
  const bool truncated = (header->flags & flag_truncated) != 0;
  std::vector<Record> records;
  for (std::size_t i = 0; i < header->answers; ++i) {
    auto record = read_record(reader, message);
    if (!record && truncated) break;  // what came whole may do
    if (!record) return refuse(DnsError::malformed);
    records.push_back(std::move(*record));
  }
  auto addresses = collect(records, lowered(question.name), question.type);
  if (!addresses.empty()) return addresses;
  return refuse(truncated ? DnsError::truncated : DnsError::no_address);
}

}  // namespace lp::probe::tunnel
