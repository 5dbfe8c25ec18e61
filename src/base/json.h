// Strict JSON: a value type, a parser and a writer. Duplicate keys, non-finite numbers, integers
// beyond 64 bits, invalid UTF-8, lone surrogates and depth over 64 are errors; objects keep the
// order of insertion. Values are plain data: copy, move, share for reading between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace yunqi {

class Json;

// An object in insertion order. Look-up is linear: ours are small; large ones (a vocabulary) are
// read by iteration.
using JsonMember = std::pair<std::string, Json>;
using JsonObject = std::vector<JsonMember>;
using JsonArray = std::vector<Json>;

class Json {
 public:
  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(int64_t{value}) {}
  Json(unsigned value) : value_(int64_t{value}) {}
  Json(int64_t value) : value_(value) {}
  // Kept apart from int64 only above its range.
  Json(uint64_t value);
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(JsonArray value) : value_(std::move(value)) {}
  Json(JsonObject value) : value_(std::move(value)) {}

  // Json::object({{"id", 1}, {"name", "x"}}) and Json::array({1, 2}).
  static Json object(std::initializer_list<JsonMember> members = {});
  static Json array(std::initializer_list<Json> items = {});

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_uint() const { return std::holds_alternative<uint64_t>(value_); }  // above int64's range
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_uint() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<JsonArray>(value_); }
  bool is_object() const { return std::holds_alternative<JsonObject>(value_); }
  // "null", "boolean", "integer", "number", "string", "array", "object": for error messages.
  std::string_view type_name() const;

  // Typed access; asking for another type than the value's is a bug (YQ_CHECK).
  bool as_bool() const;
  int64_t as_int() const;
  uint64_t as_uint() const;  // any integer that is not negative
  double as_double() const;  // any number
  const std::string& as_string() const;
  const JsonArray& as_array() const;
  JsonArray& as_array();
  const JsonObject& as_object() const;
  JsonObject& as_object();

  // The member of that name, or null when this is no object or has none.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  // Sets or replaces a member (this must be an object or null, which becomes one).
  Json& set(std::string_view key, Json value);
  // Appends to an array (or null, which becomes one).
  void push_back(Json value);

  // Deep equality; 1 and 1.0 differ, as do objects in different order.
  bool operator==(const Json& other) const;

  // Compact text, UTF-8 unescaped, doubles in their shortest round-trip form ("1.0", "1e+100").
  // Always valid JSON: a non-finite double is written as null, invalid UTF-8 as U+FFFD.
  std::string dump() const;
  // As dump(), indented by two spaces, for people.
  std::string dump_pretty() const;

 private:
  std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, JsonArray, JsonObject>
      value_ = nullptr;
};

struct JsonLimits {
  size_t max_depth = 64;
  size_t max_members = size_t{1} << 22;  // object members plus array items in the whole text
};

// Parses exactly one value; trailing bytes other than white space are an error. Errors are
// kInvalidArgument and name the byte offset, what was expected and found.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Appends `text` as a JSON string literal with quotes.
void append_json_string(std::string& out, std::string_view text);

// A double as Python's repr writes it: "1.0", "0.1", "1e+16", "1e-05".
std::string format_double(double value);

}  // namespace yunqi
