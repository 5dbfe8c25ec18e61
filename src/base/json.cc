// See json.h. Boost.JSON's basic_parser reads the grammar, UTF-8 and escapes; our handler builds
// the value and decides what it leaves open: numbers come from their text, so that integers never
// turn into doubles and decimals round once, and every limit and duplicate key is an error.
#include "base/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <new>

#include "base/utf8.h"

namespace yunqi {
namespace {

using BoostText = boost::json::string_view;
using boost::json::error_code;

// The decimal exponent of the first non-zero digit of a JSON number: 0.05 -> -2, 12e3 -> 4.
// Tells a double's overflow from its underflow where from_chars reports both alike.
int64_t leading_exponent(std::string_view text) {
  const size_t e = text.find_first_of("eE");
  const std::string_view mantissa = text.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return std::numeric_limits<int64_t>::min();
  int64_t exponent = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  if (first < point) --exponent;
  if (e == std::string_view::npos) return exponent;
  std::string_view written = text.substr(e + 1);
  if (written.front() == '+') written.remove_prefix(1);
  int32_t value = 0;
  const auto end = std::from_chars(written.data(), written.data() + written.size(), value);
  if (end.ec != std::errc()) value = std::numeric_limits<int32_t>::max();
  if (end.ec != std::errc() && written.front() == '-') value = -value;
  return exponent + value;
}

Result<Json> parse_integer(std::string_view text) {
  const char* const end = text.data() + text.size();
  int64_t value = 0;
  if (std::from_chars(text.data(), end, value).ec == std::errc()) return Json(value);
  uint64_t large = 0;
  if (text.front() != '-' && std::from_chars(text.data(), end, large).ec == std::errc()) {
    return Json(large);
  }
  return error(Code::kInvalidArgument, "want an integer of at most 64 bits, found {:.40}", text);
}

Result<Json> parse_decimal(std::string_view text) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec == std::errc() && std::isfinite(value)) return Json(value);
  if (leading_exponent(text) < 0) return Json(text.front() == '-' ? -0.0 : 0.0);
  return error(Code::kInvalidArgument, "want a number within a double's range, found {:.40}", text);
}

Result<Json> parse_number(std::string_view text) {
  return text.find_first_of(".eE") == std::string_view::npos ? parse_integer(text)
                                                             : parse_decimal(text);
}

// A name that occurs twice in `object`, or null. Sorting keeps a hostile object at O(n log n).
const std::string* duplicate_key(const JsonObject& object) {
  std::vector<const std::string*> keys;
  keys.reserve(object.size());
  for (const JsonMember& member : object) keys.push_back(&member.first);
  std::sort(keys.begin(), keys.end(),
            [](const std::string* a, const std::string* b) { return *a < *b; });
  const auto twice =
      std::adjacent_find(keys.begin(), keys.end(),
                         [](const std::string* a, const std::string* b) { return *a == *b; });
  return twice == keys.end() ? nullptr : *twice;
}

// The start of `key` as a literal: a message must stay one readable line.
std::string quoted(std::string_view key) {
  constexpr size_t kShownBytes = 80;
  std::string out;
  append_json_string(out, key.substr(0, kShownBytes));
  return out;
}

// Receives basic_parser's events. A false return stops the parser; `status` then says why.
class Handler {
 public:
  // basic_parser asks for these; the text's own size bounds what it can hold.
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();

  explicit Handler(const JsonLimits& limits) : limits_(limits) {}

  const Status& status() const { return status_; }
  Json take() { return std::move(root_); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_comment_part(BoostText, error_code&) { return true; }
  bool on_comment(BoostText, error_code&) { return true; }
  bool on_null(error_code& ec) { return add(nullptr, ec); }
  bool on_bool(bool value, error_code& ec) { return add(value, ec); }
  bool on_array_begin(error_code&) { return open(Json(JsonArray())); }
  bool on_object_begin(error_code&) { return open(Json(JsonObject())); }
  bool on_array_end(size_t, error_code& ec) { return close(ec); }

  bool on_object_end(size_t, error_code& ec) {
    if (const std::string* key = duplicate_key(open_.back().container.as_object())) {
      return fail(error(Code::kInvalidArgument,
                        "want each key once in an object, found {} twice in the one that ends here",
                        quoted(*key)),
                  ec);
    }
    return close(ec);
  }

  bool on_key_part(BoostText part, size_t, error_code&) { return append(part); }
  bool on_string_part(BoostText part, size_t, error_code&) { return append(part); }
  bool on_number_part(BoostText part, error_code&) { return append(part); }

  bool on_key(BoostText part, size_t, error_code&) {
    append(part);
    open_.back().key = std::move(text_);
    text_.clear();
    return true;
  }

  bool on_string(BoostText part, size_t, error_code& ec) {
    append(part);
    std::string value = std::move(text_);
    text_.clear();
    return add(std::move(value), ec);
  }

  bool on_int64(int64_t, BoostText part, error_code& ec) { return add_number(part, ec); }
  bool on_uint64(uint64_t, BoostText part, error_code& ec) { return add_number(part, ec); }
  bool on_double(double, BoostText part, error_code& ec) { return add_number(part, ec); }

 private:
  struct Open {
    Json container;
    std::string key;  // of the member being read, when the container is an object
  };

  bool append(BoostText part) {
    text_.append(part.data(), part.size());
    return true;
  }

  bool fail(Status status, error_code& ec) {
    status_ = std::move(status);
    ec = boost::json::error::syntax;
    return false;
  }

  bool open(Json container) {
    open_.push_back({std::move(container), {}});
    return true;
  }

  bool close(error_code& ec) {
    Json value = std::move(open_.back().container);
    open_.pop_back();
    return add(std::move(value), ec);
  }

  bool add_number(BoostText part, error_code& ec) {
    append(part);
    Result<Json> number = parse_number(text_);
    text_.clear();
    if (!number.is_ok()) return fail(number.status(), ec);
    return add(std::move(number).value(), ec);
  }

  bool add(Json value, error_code& ec) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    if (++members_ > limits_.max_members) {
      return fail(error(Code::kTooLarge, "want at most {} members and items in all, found more",
                        limits_.max_members),
                  ec);
    }
    Open& top = open_.back();
    if (top.container.is_array()) {
      top.container.as_array().push_back(std::move(value));
    } else {
      top.container.as_object().emplace_back(std::move(top.key), std::move(value));
    }
    return true;
  }

  const JsonLimits& limits_;
  std::vector<Open> open_;
  std::string text_;  // parts of the string, key or number being read
  Json root_;
  size_t members_ = 0;
  Status status_;
};

std::string describe_byte(std::string_view text, size_t offset) {
  if (offset >= text.size()) return "the end of the text";
  const auto byte = static_cast<unsigned char>(text[offset]);
  if (byte > 0x20 && byte < 0x7F) return fmt::format("'{}'", text[offset]);
  return fmt::format("byte {:#04x}", byte);
}

Status syntax_error(std::string_view text, size_t offset, const error_code& ec,
                    const JsonLimits& limits) {
  using boost::json::error;
  if (ec == error::too_deep) {
    return yunqi::error(Code::kInvalidArgument,
                        "JSON: byte {}: want at most {} levels of nesting, found more", offset,
                        limits.max_depth);
  }
  std::string_view wanted = "valid JSON";
  if (ec == error::incomplete) wanted = "the rest of the value";
  if (ec == error::extra_data) wanted = "nothing after the value";
  if (ec == error::exponent_overflow) wanted = "a number within a double's range";
  if (ec == error::illegal_leading_surrogate || ec == error::illegal_trailing_surrogate ||
      ec == error::expected_utf16_escape) {
    wanted = "a whole surrogate pair (a \\uD8xx and a \\uDCxx escape)";
  }
  if (ec == error::expected_hex_digit) wanted = "four hex digits after \\u";
  return yunqi::error(Code::kInvalidArgument, "JSON: byte {}: want {}, found {}", offset, wanted,
                      describe_byte(text, offset));
}

void append_double(std::string& out, double value) {
  // JSON has no NaN and no infinities; null is what JavaScript writes for them.
  out += std::isfinite(value) ? format_double(value) : "null";
}

// Writes values, compact or indented by two spaces. Recursion is as deep as the value.
class Writer {
 public:
  explicit Writer(bool pretty) : pretty_(pretty) {}

  std::string take() { return std::move(out_); }

  void write(const Json& value) {
    if (value.is_null()) {
      out_ += "null";
    } else if (value.is_bool()) {
      out_ += value.as_bool() ? "true" : "false";
    } else if (value.is_int()) {
      out_ += std::to_string(value.as_int());
    } else if (value.is_uint()) {
      out_ += std::to_string(value.as_uint());
    } else if (value.is_double()) {
      append_double(out_, value.as_double());
    } else if (value.is_string()) {
      append_json_string(out_, value.as_string());
    } else if (value.is_array()) {
      write_array(value.as_array());
    } else {
      write_object(value.as_object());
    }
  }

 private:
  void write_array(const JsonArray& items) {
    begin('[');
    for (const Json& item : items) {
      separate();
      write(item);
    }
    end(']', items.empty());
  }

  void write_object(const JsonObject& members) {
    begin('{');
    for (const auto& [key, value] : members) {
      separate();
      append_json_string(out_, key);
      out_ += pretty_ ? ": " : ":";
      write(value);
    }
    end('}', members.empty());
  }

  void begin(char bracket) {
    out_ += bracket;
    ++depth_;
    first_ = true;
  }

  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
    new_line();
  }

  void end(char bracket, bool empty) {
    --depth_;
    if (!empty) new_line();
    out_ += bracket;
    first_ = false;
  }

  void new_line() {
    if (pretty_) out_.append("\n").append(depth_ * 2, ' ');
  }

  const bool pretty_;
  std::string out_;
  size_t depth_ = 0;
  bool first_ = true;  // no item written yet in the innermost container
};

}  // namespace

Json::Json(uint64_t value) {
  if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    value_ = static_cast<int64_t>(value);
  } else {
    value_ = value;
  }
}

Json Json::object(std::initializer_list<JsonMember> members) { return Json(JsonObject(members)); }

Json Json::array(std::initializer_list<Json> items) { return Json(JsonArray(items)); }

std::string_view Json::type_name() const {
  if (is_null()) return "null";
  if (is_bool()) return "boolean";
  if (is_int() || is_uint()) return "integer";
  if (is_double()) return "number";
  if (is_string()) return "string";
  return is_array() ? "array" : "object";
}

bool Json::as_bool() const {
  YQ_CHECK(is_bool(), "want a boolean, found {}", type_name());
  return std::get<bool>(value_);
}

int64_t Json::as_int() const {
  YQ_CHECK(is_int(), "want an integer of int64's range, found {}", type_name());
  return std::get<int64_t>(value_);
}

uint64_t Json::as_uint() const {
  if (is_int() && as_int() >= 0) return static_cast<uint64_t>(as_int());
  YQ_CHECK(is_uint(), "want a non-negative integer, found {}", type_name());
  return std::get<uint64_t>(value_);
}

double Json::as_double() const {
  YQ_CHECK(is_number(), "want a number, found {}", type_name());
  if (is_int()) return static_cast<double>(std::get<int64_t>(value_));
  if (is_uint()) return static_cast<double>(std::get<uint64_t>(value_));
  return std::get<double>(value_);
}

const std::string& Json::as_string() const {
  YQ_CHECK(is_string(), "want a string, found {}", type_name());
  return std::get<std::string>(value_);
}

const JsonArray& Json::as_array() const {
  YQ_CHECK(is_array(), "want an array, found {}", type_name());
  return std::get<JsonArray>(value_);
}

JsonArray& Json::as_array() {
  YQ_CHECK(is_array(), "want an array, found {}", type_name());
  return std::get<JsonArray>(value_);
}

const JsonObject& Json::as_object() const {
  YQ_CHECK(is_object(), "want an object, found {}", type_name());
  return std::get<JsonObject>(value_);
}

JsonObject& Json::as_object() {
  YQ_CHECK(is_object(), "want an object, found {}", type_name());
  return std::get<JsonObject>(value_);
}

const Json* Json::find(std::string_view key) const {
  const auto* members = std::get_if<JsonObject>(&value_);
  if (members == nullptr) return nullptr;
  for (const JsonMember& member : *members) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

Json* Json::find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).find(key)); }

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = JsonObject();
  if (Json* present = find(key)) {
    *present = std::move(value);
    return *this;
  }
  as_object().emplace_back(std::string(key), std::move(value));
  return *this;
}

void Json::push_back(Json value) {
  if (is_null()) value_ = JsonArray();
  as_array().push_back(std::move(value));
}

bool Json::operator==(const Json& other) const { return value_ == other.value_; }

std::string Json::dump() const {
  Writer writer(/*pretty=*/false);
  writer.write(*this);
  return writer.take();
}

std::string Json::dump_pretty() const {
  Writer writer(/*pretty=*/true);
  writer.write(*this);
  return writer.take();
}

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  try {
    boost::json::parse_options options;
    options.max_depth = limits.max_depth;
    boost::json::basic_parser<Handler> parser(options, limits);
    error_code ec;
    const size_t parsed = parser.write_some(/*more=*/false, text.data(), text.size(), ec);
    if (!ec && parsed < text.size()) ec = boost::json::error::extra_data;
    if (!ec) return parser.handler().take();
    const Status& own = parser.handler().status();
    if (!own.is_ok()) return own.with_context(fmt::format("JSON: byte {}", parsed));
    return syntax_error(text, parsed, ec, limits);
  } catch (const std::bad_alloc&) {
    return error(Code::kNoResources, "JSON of {} bytes: want memory for its values, found none",
                 text.size());
  }
}

void append_json_string(std::string& out, std::string_view text) {
  // A lone byte would make the whole document unreadable, so bad UTF-8 becomes U+FFFD.
  if (!is_valid_utf8(text)) {
    append_json_string(out, sanitize_utf8(text));
    return;
  }
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

std::string format_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // Shortest digits that round-trip, as d.ddde[+-]xx; repr() then decides where the point goes.
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  std::string out;
  if (text.front() == '-') {
    out = "-";
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  std::string digits(text.substr(0, 1));
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const char* const exponent_text = text.data() + e + 2;
  std::from_chars(exponent_text, text.data() + text.size(), exponent);
  if (text[e + 1] == '-') exponent = -exponent;

  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return out + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  }
  const auto whole = static_cast<size_t>(exponent + 1);
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace yunqi
