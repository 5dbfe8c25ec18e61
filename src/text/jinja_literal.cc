// Literals of the template language: Python's string escapes and numbers.
#include "text/jinja_literal.h"

#include <charconv>
#include <limits>

#include "base/utf8.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

constexpr std::string_view kSimpleEscapes = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Appends the character of `digits` hexadecimal digits at the start of `text`.
bool append_hex(std::string& out, std::string_view text, size_t digits) {
  if (text.size() < digits) return false;
  char32_t c = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int value = hex_value(text[i]);
    if (value < 0) return false;
    c = c * 16 + static_cast<char32_t>(value);
  }
  if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return false;
  append_utf8(out, c);
  return true;
}

// Digits without their underscores; nullopt when an underscore stands where none may.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between =
        i > 0 && i + 1 < text.size() && hex_value(text[i - 1]) >= 0 && hex_value(text[i + 1]) >= 0;
    if (!between) return std::nullopt;
  }
  return out;
}

std::optional<int64_t> parse_digits(std::string_view text, int base) {
  int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool append_unescaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const size_t slash = text.find('\\');
    out.append(text.substr(0, slash));
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
    if (text.empty()) return false;
    const char c = text.front();
    const size_t simple = kSimpleEscapes.find(c);
    if (c == '\n') {
      text.remove_prefix(1);
    } else if (simple != std::string_view::npos && simple % 2 == 0) {
      out += kSimpleEscapes[simple + 1];
      text.remove_prefix(1);
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      for (int i = 0; i < 3 && !text.empty() && text[0] >= '0' && text[0] <= '7'; ++i) {
        value = value * 8 + static_cast<char32_t>(text[0] - '0');
        text.remove_prefix(1);
      }
      append_utf8(out, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      if (!append_hex(out, text.substr(1), digits)) return false;
      text.remove_prefix(1 + digits);
    } else {
      out += '\\';  // An unknown escape stays as it is; \N{...} is not worth a table of names.
    }
  }
  return true;
}

std::optional<Value> parse_integer_literal(std::string_view text) {
  int base = 10;
  const char kind = text.size() > 1 ? static_cast<char>(text[1] | 0x20) : '\0';
  if (text[0] == '0' && (kind == 'x' || kind == 'o' || kind == 'b')) {
    base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  }
  const auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  if (base == 10 && digits->size() > 1 && digits->front() == '0' &&
      digits->find_first_not_of('0') != std::string::npos) {
    return std::nullopt;
  }
  const auto value = parse_digits(*digits, base);
  if (!value) return std::nullopt;
  return Value::of(*value);
}

std::optional<Value> parse_float_literal(std::string_view text) {
  const auto value = parse_python_float(text);
  if (!value) return std::nullopt;
  return Value::of(*value);
}

std::optional<double> parse_python_float(std::string_view text) {
  auto digits = without_underscores(strip(text));
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view body = *digits;
  const bool negative = body.front() == '-';
  if (body.front() == '-' || body.front() == '+') body.remove_prefix(1);
  if (body.empty()) return std::nullopt;
  std::string lower;
  for (const char c : body) append_mapped(lower, CaseMap::kLower, static_cast<unsigned char>(c));
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (lower == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (body.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
    if (body.front() == '-' || body.front() == '+') return std::nullopt;
    const auto [end, ec] = std::from_chars(body.data(), body.data() + body.size(), value);
    if (end != body.data() + body.size()) return std::nullopt;
    if (ec == std::errc::result_out_of_range) {
      // Too large is infinity and too small is zero, as in Python.
      const size_t exponent = lower.find('e');
      const bool small = exponent != std::string::npos && lower[exponent + 1] == '-';
      value = small ? 0.0 : std::numeric_limits<double>::infinity();
    } else if (ec != std::errc()) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::optional<int64_t> parse_python_int(std::string_view text, int base) {
  std::string_view body = strip(text);
  const bool negative = body.starts_with('-');
  if (body.starts_with('-') || body.starts_with('+')) body.remove_prefix(1);
  if (body.size() > 2 && body[0] == '0') {
    const char kind = static_cast<char>(body[1] | 0x20);
    if ((base == 16 && kind == 'x') || (base == 8 && kind == 'o') || (base == 2 && kind == 'b')) {
      body.remove_prefix(2);
    }
  }
  if (body.starts_with('-')) return std::nullopt;
  const auto digits = without_underscores(body);
  if (!digits || digits->empty()) return std::nullopt;
  return parse_digits(negative ? "-" + *digits : *digits, base);
}

}  // namespace yunqi::jinja
