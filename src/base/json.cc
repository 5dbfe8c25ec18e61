// See json.h: the parser. Boost.JSON's basic_parser reads the grammar, UTF-8 and escapes; our
// handler builds the value and decides what it leaves open: numbers come from their text, so that
// integers never turn into doubles and decimals round once, and every limit and duplicate key is an
// error.
#include "base/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <new>

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

// A name that occurs twice in `object`, or null. Sorting keeps a hostile object at O(n log n), and
// sorting by hash first seldom looks at the strings.
const std::string* duplicate_key(const JsonObject& object) {
  struct Key {
    size_t hash;
    const std::string* name;
    bool operator<(const Key& other) const {
      return hash != other.hash ? hash < other.hash : *name < *other.name;
    }
    bool operator==(const Key& other) const { return hash == other.hash && *name == *other.name; }
  };
  std::vector<Key> keys;
  keys.reserve(object.size());
  for (const JsonMember& member : object) {
    keys.push_back({std::hash<std::string_view>()(member.first), &member.first});
  }
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  return twice == keys.end() ? nullptr : twice->name;
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
  // basic_parser asks for these names; the text's own size bounds what it can hold.
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();
  // NOLINTEND(readability-identifier-naming)

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

}  // namespace

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

}  // namespace yunqi
