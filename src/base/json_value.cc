// See json.h: the value type and its writer.
#include <charconv>
#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/utf8.h"

namespace yunqi {
namespace {

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

  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) out.append(".").append(digits, 1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) {
    return out.append("0.").append(static_cast<size_t>(-1 - exponent), '0').append(digits);
  }
  const size_t whole = static_cast<size_t>(exponent) + 1;  // digits before the point
  if (digits.size() <= whole) {
    return out.append(digits).append(whole - digits.size(), '0').append(".0");
  }
  return out.append(digits, 0, whole).append(".").append(digits, whole);
}

}  // namespace yunqi
