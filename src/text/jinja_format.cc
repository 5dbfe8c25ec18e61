// Python's two ways to format: `format % values` and `format.format(...)`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/utf8.h"
#include "text/jinja_builtin.h"
#include "text/jinja_literal.h"
#include "text/jinja_runtime.h"
#include "text/jinja_text.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

// Widths and precisions beyond this are refused.
constexpr int64_t kMaxWidth = 4096;

struct Spec {
  std::string_view fill = " ";
  char align = 0;  // < > ^ =, or 0 for the type's own
  char sign = '-';
  bool alternate = false, grouped = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

Status bad_spec(std::string_view why) { return template_error("cannot format: {}", why); }

// Digits at the start of `text`, taken off it; nullopt when there are none or too many.
std::optional<int64_t> take_number(std::string_view& text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const auto value = parse_python_int(text.substr(0, digits), 10);
  if (digits == 0 || !value || *value > kMaxWidth) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

std::string with_groups(std::string digits) {
  const size_t end = std::min(digits.find_first_of(".e"), digits.size());
  for (size_t at = end; at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

// The digits of |value|, without sign.
Result<std::string> number_digits(const Value& value, const Spec& spec) {
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  const bool real = spec.type == 'f' || spec.type == 'F' || spec.type == 'e' || spec.type == 'E' ||
                    spec.type == 'g' || spec.type == 'G' || spec.type == '%' ||
                    (spec.type == 0 && value.is(Kind::kFloat));
  if (real) {
    const double magnitude = std::fabs(value.as_double());
    switch (spec.type) {
      case 'e':
        return fmt::format("{:.{}e}", magnitude, precision);
      case 'E':
        return fmt::format("{:.{}E}", magnitude, precision);
      case 'g':
      case 'G': {
        const int significant = std::max(precision, 1);
        return spec.type == 'g' ? fmt::format("{:.{}g}", magnitude, significant)
                                : fmt::format("{:.{}G}", magnitude, significant);
      }
      case '%':
        return fmt::format("{:.{}f}%", magnitude * 100, precision);
      case 0:
        if (spec.precision < 0) return float_repr(magnitude);
        return fmt::format("{:.{}g}", magnitude, std::max<int>(precision, 1));
      default:
        return fmt::format("{:.{}f}", magnitude, precision);
    }
  }
  if (!value.is_integral()) return bad_spec("an integer is wanted");
  const int64_t integer = value.as_integer();
  const uint64_t magnitude =
      integer < 0 ? uint64_t{0} - static_cast<uint64_t>(integer) : static_cast<uint64_t>(integer);
  const auto prefix = [&spec](const char* text) { return std::string(spec.alternate ? text : ""); };
  switch (spec.type) {
    case 'x':
      return prefix("0x") + fmt::format("{:x}", magnitude);
    case 'X':
      return prefix("0X") + fmt::format("{:X}", magnitude);
    case 'o':
      return prefix("0o") + fmt::format("{:o}", magnitude);
    case 'b':
      return prefix("0b") + fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

Result<Value> format_number(Runtime& runtime, const Value& value, const Spec& spec) {
  YQ_TRY(std::string digits, number_digits(value, spec));
  if (spec.grouped) digits = with_groups(std::move(digits));
  const double real = value.as_double();
  const bool negative = std::signbit(real) && !std::isnan(real);
  const char shown_sign = negative ? '-' : spec.sign;
  const std::string sign(negative || spec.sign != '-' ? 1 : 0, shown_sign);
  const char align = spec.align != 0 ? spec.align : '>';
  if (align == '=') {
    const auto width = spec.width - static_cast<int64_t>(sign.size());
    YQ_TRY(const Value padded, pad_text(runtime, *runtime.add(std::move(digits)).str, width,
                                        {Padding::Side::kLeft, spec.fill}));
    return runtime.add(sign + std::string(padded.str->text));
  }
  const auto side = align == '<'   ? Padding::Side::kRight
                    : align == '^' ? Padding::Side::kBoth
                                   : Padding::Side::kLeft;
  return pad_text(runtime, *runtime.add(sign + digits).str, spec.width, {side, spec.fill});
}

Result<Value> format_text(Runtime& runtime, const Str& text, const Spec& spec) {
  Str shown = text;
  shown.markup = false;
  if (spec.precision >= 0) {
    shown = sub_str(shown, 0, char_offset(shown.text, static_cast<size_t>(spec.precision)));
  }
  const auto width = static_cast<int64_t>(count_chars(shown.text));
  if (spec.align != '^' || spec.width <= width) {
    const auto side = spec.align == '>' ? Padding::Side::kLeft : Padding::Side::kRight;
    return pad_text(runtime, shown, spec.width, {side, spec.fill});
  }
  // format() puts the odd fill character right, unlike str.center().
  YQ_TRY(const Value left, pad_text(runtime, shown, width + (spec.width - width) / 2,
                                    {Padding::Side::kLeft, spec.fill}));
  return pad_text(runtime, *left.str, spec.width, {Padding::Side::kRight, spec.fill});
}

// One value of a % format: a sequence's next, a mapping's member, or the only one.
class PercentArguments {
 public:
  explicit PercentArguments(const Value& values) : values_(values) {}

  Result<Value> named(std::string_view name) {
    if (!values_.is(Kind::kDict)) return template_error("format requires a mapping");
    const Value* found = dict_find(*values_.dict, name);
    if (found == nullptr) return template_error("'{}'", name);
    used_mapping_ = true;
    return *found;
  }
  Result<Value> next() {
    if (values_.is(Kind::kTuple)) {
      if (next_ >= values_.list->items.size()) return not_enough();
      return values_.list->items[next_++];
    }
    if (next_++ > 0) return not_enough();
    return values_;
  }
  bool all_used() const {
    if (values_.is(Kind::kTuple)) return next_ == values_.list->items.size();
    return next_ > 0 || used_mapping_ || values_.is(Kind::kDict) || values_.is(Kind::kList);
  }

 private:
  static Status not_enough() { return template_error("not enough arguments for format string"); }
  const Value& values_;
  size_t next_ = 0;
  bool used_mapping_ = false;
};

// %[(name)][flags][width][.precision]type, after its `%`; takes it off `rest`.
Result<Spec> take_percent_spec(std::string_view& rest, std::optional<std::string_view>& name) {
  Spec spec;
  if (rest.starts_with('(')) {
    const size_t close = rest.find(')');
    if (close == std::string_view::npos) return template_error("incomplete format key");
    name = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
  }
  for (; !rest.empty() && std::string_view("-+ #0").find(rest[0]) != std::string_view::npos;
       rest.remove_prefix(1)) {
    if (rest[0] == '-') spec.align = '<';
    if (rest[0] == '+') spec.sign = '+';
    if (rest[0] == ' ' && spec.sign != '+') spec.sign = ' ';
    if (rest[0] == '#') spec.alternate = true;
    if (rest[0] == '0' && spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
  }
  if (spec.align == '<') spec.fill = " ";
  if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
    const auto width = take_number(rest);
    if (!width) return bad_spec("the width is too large");
    spec.width = *width;
  }
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    spec.precision = take_number(rest).value_or(0);
  }
  if (rest.empty()) return template_error("incomplete format");
  spec.type = rest[0];
  rest.remove_prefix(1);
  return spec;
}

Result<Value> format_percent_value(Runtime& runtime, const Value& value, Spec spec) {
  if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
    if (spec.align == '=' || spec.align == 0) spec.align = '>';
    spec.fill = " ";
    TextBuilder text;
    if (spec.type == 's') {
      YQ_RETURN_IF_ERROR(append_str(runtime, text, value));
    } else {
      YQ_RETURN_IF_ERROR(append_repr(runtime, text, value));
    }
    return format_text(runtime, *runtime.add(std::move(text)).str, spec);
  }
  if (spec.type == 'c') return bad_spec("%c is not supported");
  if (!value.is_number()) {
    if (value.is(Kind::kUndefined)) return undefined_error(value);
    return template_error("%{} format: a real number is required, not {}", spec.type,
                          type_name(value));
  }
  static constexpr std::string_view kTypes = "diuxXoeEfFgG";
  if (kTypes.find(spec.type) == std::string_view::npos) {
    return template_error("unsupported format character '{}'", spec.type);
  }
  if (spec.type == 'd' || spec.type == 'i' || spec.type == 'u') {
    spec.type = 'd';
    if (value.is(Kind::kFloat)) {
      if (!(std::fabs(value.real) < 9.2e18)) return bad_spec("a float beyond 64 bits");
      return format_number(runtime, Value::of(static_cast<int64_t>(value.real)), spec);
    }
  }
  return format_number(runtime, value, spec);
}

}  // namespace

Result<Value> percent_format(Runtime& runtime, const Str& format, const Value& values) {
  YQ_RETURN_IF_ERROR(runtime.charge_text(format.text.size()));
  PercentArguments arguments(values);
  TextBuilder out;
  std::string_view rest = format.text;
  while (!rest.empty()) {
    const size_t at = format.text.size() - rest.size();
    const size_t percent = std::min(rest.find('%'), rest.size());
    out.append(sub_str(format, at, percent));
    rest.remove_prefix(percent);
    if (rest.empty()) break;
    rest.remove_prefix(1);
    std::optional<std::string_view> name;
    YQ_TRY(const Spec spec, take_percent_spec(rest, name));
    if (spec.type == '%') {
      out.append("%", format.user);
      continue;
    }
    YQ_TRY(const Value value, name ? arguments.named(*name) : arguments.next());
    YQ_TRY(const Value shown, format_percent_value(runtime, value, spec));
    YQ_RETURN_IF_ERROR(runtime.charge_text(shown.str->text.size()));
    const bool escapes = format.markup && !(value.is_string() && value.str->markup);
    out.append(escapes ? *escape_html(runtime, *shown.str).str : *shown.str);
  }
  if (!arguments.all_used()) {
    return template_error("not all arguments converted during string formatting");
  }
  return runtime.add(std::move(out), format.markup);
}

namespace {

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Arguments& arguments)
      : runtime_(runtime), arguments_(arguments) {}

  Result<Value> format(const Str& format) {
    YQ_RETURN_IF_ERROR(runtime_.charge_text(format.text.size()));
    TextBuilder out;
    for (size_t at = 0; at < format.text.size();) {
      const size_t brace = std::min(format.text.find_first_of("{}", at), format.text.size());
      out.append(sub_str(format, at, brace - at));
      if (brace == format.text.size()) break;
      const char c = format.text[brace];
      if (brace + 1 < format.text.size() && format.text[brace + 1] == c) {
        out.append(sub_str(format, brace, 1));
        at = brace + 2;
        continue;
      }
      if (c == '}') return template_error("single '}}' encountered in format string");
      const size_t close = format.text.find('}', brace);
      if (close == std::string_view::npos) {
        return template_error("expected '}}' before end of string");
      }
      const std::string_view field = format.text.substr(brace + 1, close - brace - 1);
      if (field.find('{') != std::string_view::npos) return bad_spec("nested fields");
      YQ_TRY(const Value shown, format_field(field, format.markup));
      YQ_RETURN_IF_ERROR(runtime_.charge_text(shown.str->text.size()));
      out.append(*shown.str);
      at = close + 1;
    }
    return runtime_.add(std::move(out), format.markup);
  }

 private:
  // name[!conversion][:spec]
  Result<Value> format_field(std::string_view field, bool markup) {
    const size_t colon = field.find(':');
    std::string_view spec = colon == std::string_view::npos ? "" : field.substr(colon + 1);
    std::string_view name = field.substr(0, colon);
    char conversion = 0;
    const size_t bang = name.find('!');
    if (bang != std::string_view::npos) {
      if (bang + 2 != name.size()) return bad_spec("a malformed conversion");
      conversion = name[bang + 1];
      name = name.substr(0, bang);
    }
    YQ_TRY(Value value, field_value(name));
    if (conversion == 'r' || conversion == 'a') {
      TextBuilder text;
      YQ_RETURN_IF_ERROR(append_repr(runtime_, text, value));
      value = runtime_.add(std::move(text));
    } else if (conversion == 's') {
      YQ_TRY(const Str* text, to_str(runtime_, value));
      value = Value::of(text);
    } else if (conversion != 0) {
      return bad_spec("an unknown conversion");
    }
    YQ_TRY(const Value shown, format_value(value, spec));
    const bool escapes = markup && !(value.is_string() && value.str->markup);
    return escapes ? escape_html(runtime_, *shown.str) : shown;
  }

  // The argument, with .attributes and [items] after it.
  Result<Value> field_value(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    const std::string_view name = path.substr(0, end);
    YQ_TRY(Value value, argument(name));
    path.remove_prefix(end);
    while (!path.empty()) {
      YQ_RETURN_IF_ERROR(runtime_.charge(1));
      if (path[0] == '.') {
        path.remove_prefix(1);
        const size_t stop = std::min(path.find_first_of(".["), path.size());
        Str attribute;
        attribute.text = path.substr(0, stop);
        YQ_TRY(value, get_attribute(runtime_, value, attribute));
        path.remove_prefix(stop);
      } else {
        const size_t close = path.find(']');
        if (path[0] != '[' || close == std::string_view::npos) return bad_spec("a bad field");
        const std::string_view key = path.substr(1, close - 1);
        const auto number = parse_python_int(key, 10);
        YQ_TRY(value,
               get_item(runtime_, value, number ? Value::of(*number) : runtime_.borrow(key)));
        path.remove_prefix(close + 1);
      }
    }
    return value;
  }

  Result<Value> argument(std::string_view name) {
    std::optional<int64_t> index;
    if (name.empty()) {
      index = next_++;
    } else if (name.find_first_not_of("0123456789") == std::string_view::npos) {
      index = parse_python_int(name, 10);
      if (!index) return bad_spec("a position that is too large");
    }
    if (index) {
      if (*index >= static_cast<int64_t>(arguments_.positional.size())) {
        return template_error("Replacement index {} out of range for positional args tuple",
                              *index);
      }
      return arguments_.positional[static_cast<size_t>(*index)];
    }
    for (const auto& [known, value] : arguments_.named) {
      if (known == name) return value;
    }
    return template_error("'{}'", name);
  }

  // [[fill]align][sign][#][0][width][,][.precision][type]
  static Result<Spec> parse_spec(std::string_view text) {
    Spec spec;
    static constexpr std::string_view kAligns = "<>=^";
    const size_t first = text.empty() ? 0 : char_length(text);
    if (first < text.size() && kAligns.find(text[first]) != std::string_view::npos) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      text.remove_prefix(first + 1);
    } else if (!text.empty() && kAligns.find(text[0]) != std::string_view::npos) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
    if (!text.empty() && (text[0] == '+' || text[0] == '-' || text[0] == ' ')) {
      spec.sign = text[0];
      text.remove_prefix(1);
    }
    if (text.starts_with('#')) {
      spec.alternate = true;
      text.remove_prefix(1);
    }
    if (text.starts_with('0') && spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
    if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      const auto width = take_number(text);
      if (!width) return bad_spec("the width is too large");
      spec.width = *width;
    }
    if (text.starts_with(',')) {
      spec.grouped = true;
      text.remove_prefix(1);
    }
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      const auto precision = take_number(text);
      if (!precision) return bad_spec("the precision is missing or too large");
      spec.precision = *precision;
    }
    if (text.size() > 1) return bad_spec("an invalid format specifier");
    if (text.size() == 1) spec.type = text[0];
    return spec;
  }

  Result<Value> format_value(const Value& value, std::string_view text) {
    if (text.empty()) {
      YQ_TRY(const Str* plain, to_str(runtime_, value));
      return Value::of(plain);
    }
    YQ_TRY(Spec spec, parse_spec(text));
    if (value.is_number() && !(value.is(Kind::kBool) && spec.type == 0)) {
      static constexpr std::string_view kTypes = "dxXobeEfFgG%n";
      if (spec.type != 0 && kTypes.find(spec.type) == std::string_view::npos) {
        return bad_spec("an unknown format code");
      }
      return format_number(runtime_, value, spec);
    }
    if (!value.is_string()) {
      return template_error("unsupported format string passed to {}.__format__", type_name(value));
    }
    if ((spec.type != 0 && spec.type != 's') || spec.align == '=' || spec.sign != '-') {
      return bad_spec("an unknown format code for a string");
    }
    return format_text(runtime_, *value.str, spec);
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  int64_t next_ = 0;
};

}  // namespace

Result<Value> brace_format(Runtime& runtime, const Str& format, const Arguments& arguments) {
  return BraceFormatter(runtime, arguments).format(format);
}

}  // namespace yunqi::jinja
