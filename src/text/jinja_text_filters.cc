// Filters that give text or numbers: case, trimming, joining, JSON, conversions.
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

template <CaseMap map>
Result<Value> to_case(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  return map_case(runtime, *text, map);
}

Result<Value> title(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  return title_words(runtime, *text);
}

Result<Value> capitalize(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  return capitalize_text(runtime, *text);
}

Result<Value> trim(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  const Value self = Value::of(text);
  Arguments arguments;
  if (call[0].given()) arguments.positional.push_back(call[0]);
  return call_builtin(runtime, *find_method(self, "strip"), self, arguments);
}

Result<Value> replace(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  YQ_TRY(const Str* from, to_str(runtime, call[0]));
  YQ_TRY(const Str* to, to_str(runtime, call[1]));
  int64_t count = -1;
  if (call[2].is_integral()) count = call[2].as_integer();
  // The filter works on plain text: nothing is escaped, nothing is markup.
  Str plain = *text;
  plain.markup = false;
  return replace_text(runtime, plain, *from, *to, count);
}

Result<Value> string(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  return Value::of(text);
}

Result<Value> safe(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  Str marked = *text;
  marked.markup = true;
  return runtime.add(marked);
}

Result<Value> escape(Runtime& runtime, const Call& call) {
  if (call.self.is_string() && call.self.str->markup) return call.self;
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge_text(text->text.size() * 5));
  return escape_html(runtime, *text);
}

Result<Value> force_escape(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge_text(text->text.size() * 5));
  return escape_html(runtime, *text);
}

Result<Value> format(Runtime& runtime, const Call& call) {
  if (!call.all.positional.empty() && !call.all.named.empty()) {
    return template_error("can't handle positional and keyword arguments at the same time");
  }
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  if (call.all.named.empty()) {
    return percent_format(runtime, *text, runtime.tuple(call.all.positional));
  }
  const Value names = runtime.dict({});
  for (const auto& [name, value] : call.all.named) {
    YQ_RETURN_IF_ERROR(dict_set(runtime, *names.dict, runtime.borrow(name), value));
  }
  return percent_format(runtime, *text, names);
}

// The text's lines with `indent` before each but the first (unless `first`) and, unless `blank`,
// before none that is empty.
Result<Value> indent(Runtime& runtime, const Call& call) {
  if (!call.self.is_string()) {
    return template_error("indent wants a string, not {}", type_name(call.self));
  }
  const Str& text = *call.self.str;
  Str indention;
  std::string spaces;
  if (call[0].is_string()) {
    indention = *call[0].str;
  } else {
    const int64_t width = call[0].is_integral() ? std::max<int64_t>(call[0].as_integer(), 0) : 4;
    YQ_RETURN_IF_ERROR(runtime.charge_text(static_cast<uint64_t>(width)));
    spaces.assign(static_cast<size_t>(width), ' ');
    indention.text = spaces;
  }
  const bool first = truthy(call[1]), blank = truthy(call[2]);
  YQ_RETURN_IF_ERROR(runtime.charge_text(text.text.size() * 2));
  TextBuilder out;
  if (first) out.append(indention);
  for (size_t at = 0, line = 0;; ++line) {
    size_t end = at;
    while (end < text.text.size() && line_end_length(text.text.substr(end)) == 0) {
      end += char_length(text.text.substr(end));
    }
    YQ_RETURN_IF_ERROR(runtime.charge_text(indention.text.size()));
    if (line > 0) {
      out.append("\n", false);
      if (blank || end > at) out.append(indention);
    }
    out.append(sub_str(text, at, end - at));
    if (end >= text.text.size()) break;
    at = end + line_end_length(text.text.substr(end));
    // A line end at the very end begins one more, empty line.
  }
  return runtime.add(std::move(out), text.markup);
}

Result<Value> join(Runtime& runtime, const Call& call) {
  YQ_TRY(std::vector<Value> items, iterate(runtime, call.self));
  if (call[1].given() && !call[1].is(Kind::kNone)) {
    for (Value& item : items) {
      YQ_TRY(item, item_path(runtime, item, call[1]));
    }
  }
  Str separator;
  if (call[0].given()) {
    YQ_TRY(const Str* given, to_str(runtime, call[0]));
    separator = *given;
  }
  TextBuilder out;
  for (size_t i = 0; i < items.size(); ++i) {
    YQ_RETURN_IF_ERROR(runtime.charge_text(separator.text.size()));
    if (i > 0) out.append(separator);
    YQ_RETURN_IF_ERROR(append_str(runtime, out, items[i]));
  }
  return runtime.add(std::move(out));
}

Result<Value> wordcount(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge(text->text.size()));
  int64_t words = 0;
  bool inside = false;
  for (std::string_view rest = text->text; !rest.empty();) {
    const Utf8Char c = decode_utf8(rest);
    const bool is_word = c.code_point == '_' || is_in(CharClass::kAlpha, c.code_point) ||
                         is_in(CharClass::kNumeric, c.code_point);
    if (is_word && !inside) ++words;
    inside = is_word;
    rest.remove_prefix(c.length);
  }
  return Value::of(words);
}

Result<Value> center(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  const int64_t width = call[0].is_integral() ? call[0].as_integer() : 80;
  return pad_text(runtime, *text, width, {Padding::Side::kBoth, " "});
}

Result<Value> truncate(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  const int64_t length = call[0].is_integral() ? call[0].as_integer() : 255;
  Str end;
  end.text = "...";
  if (call[2].given()) {
    YQ_TRY(const Str* given, to_str(runtime, call[2]));
    end = *given;
  }
  const int64_t leeway = call[3].is_integral() ? call[3].as_integer() : 5;
  const auto end_size = static_cast<int64_t>(count_chars(end.text));
  if (length < end_size) return template_error("expected length >= {}, got {}", end_size, length);
  if (leeway < 0) return template_error("expected leeway >= 0, got {}", leeway);
  YQ_RETURN_IF_ERROR(runtime.charge_text(text->text.size()));
  const auto size = static_cast<int64_t>(count_chars(text->text));
  if (size <= length || size - length <= leeway) return Value::of(text);
  const size_t cut = char_offset(text->text, static_cast<size_t>(length - end_size));
  Str kept = sub_str(*text, 0, cut);
  if (!truthy(call[1])) {
    const size_t space = kept.text.rfind(' ');
    if (space != std::string_view::npos) kept = sub_str(kept, 0, space);
  }
  TextBuilder out;
  out.append(kept);
  out.append(end);
  return runtime.add(std::move(out));
}

Result<Value> tojson(Runtime& runtime, const Call& call) {
  JsonFormat format;
  format.ensure_ascii = truthy(call[0]);
  format.sort_keys = truthy(call[3]);
  const Value& width = call[1];
  if (width.is_string()) {
    format.has_indent = true;
    format.indent = width.str->text;
  } else if (width.is_integral()) {
    format.has_indent = true;
    const int64_t spaces = std::max<int64_t>(width.as_integer(), 0);
    YQ_RETURN_IF_ERROR(runtime.charge_text(static_cast<uint64_t>(spaces)));
    format.indent.assign(static_cast<size_t>(spaces), ' ');
  } else if (width.given() && !width.is(Kind::kNone)) {
    return template_error("indent must be an integer or a string, not {}", type_name(width));
  }
  if (format.has_indent) format.item_separator.assign(1, ',');
  if (call[2].given() && !call[2].is(Kind::kNone)) {
    YQ_TRY(const std::vector<Value> parts, iterate(runtime, call[2]));
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      return template_error("want two strings as separators");
    }
    format.item_separator = parts[0].str->text;
    format.key_separator = parts[1].str->text;
  }
  return to_json(runtime, call.self, format);
}

// int(value) of a float, or nullopt for what does not fit.
std::optional<int64_t> whole_part(double value) {
  if (!(value > -9.2e18 && value < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(value);
}

Result<Value> to_int(Runtime&, const Call& call) {
  const Value fallback = call[0].given() ? call[0] : Value::of(int64_t{0});
  const int64_t base = call[1].is_integral() ? call[1].as_integer() : 10;
  std::optional<int64_t> out;
  if (call.self.is(Kind::kUndefined)) return undefined_error(call.self);
  if (call.self.is_string()) {
    if (base >= 2 && base <= 36)
      out = parse_python_int(call.self.str->text, static_cast<int>(base));
    if (!out) {
      const auto real = parse_python_float(call.self.str->text);
      if (real) out = whole_part(*real);
    }
  } else if (call.self.is_integral()) {
    out = call.self.as_integer();
  } else if (call.self.is(Kind::kFloat)) {
    out = whole_part(call.self.real);
  }
  return out ? Value::of(*out) : fallback;
}

Result<Value> to_float(Runtime&, const Call& call) {
  const Value fallback = call[0].given() ? call[0] : Value::of(0.0);
  if (call.self.is(Kind::kUndefined)) return undefined_error(call.self);
  if (call.self.is_string()) {
    const auto real = parse_python_float(call.self.str->text);
    return real ? Value::of(*real) : fallback;
  }
  return call.self.is_number() ? Value::of(call.self.as_double()) : fallback;
}

Result<Value> absolute(Runtime&, const Call& call) {
  if (call.self.is(Kind::kFloat)) return Value::of(std::fabs(call.self.real));
  const bool negative = call.self.is_integral() && call.self.as_integer() < 0;
  return negate(call.self, negative);
}

Result<Value> round_number(Runtime& runtime, const Call& call) {
  constexpr int64_t kMaxPrecision = 300;
  const int64_t precision = call[0].is_integral() ? call[0].as_integer() : 0;
  if (call.self.is(Kind::kUndefined)) return undefined_error(call.self);
  if (!call.self.is_number()) {
    return template_error("type {} doesn't define __round__ method", type_name(call.self));
  }
  if (precision > kMaxPrecision || precision < -kMaxPrecision) {
    return template_error("want a precision within {}, found {}", kMaxPrecision, precision);
  }
  std::string_view method = "common";
  if (call[1].is_string()) method = call[1].str->text;
  if (method != "common" && method != "ceil" && method != "floor") {
    return template_error("method must be common, ceil or floor");
  }
  const double value = call.self.as_double();
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "common") {
    if (call.self.is_integral() && precision >= 0) return Value::of(call.self.as_integer());
    if (!std::isfinite(value)) return call.self;
    // Rounds the exact binary value, halves to even, as Python does.
    const double out = precision >= 0
                           ? *parse_python_float(fmt::format("{:.{}f}", value, precision))
                           : std::nearbyint(value * scale) / scale;
    if (call.self.is(Kind::kFloat)) return Value::of(out);
    return Value::of(static_cast<int64_t>(out));
  }
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  return Value::of((method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) /
                   scale);
}

constexpr Builtin kFilters[] = {
    {"upper", "", to_case<CaseMap::kUpper>},
    {"lower", "", to_case<CaseMap::kLower>},
    {"title", "", title},
    {"capitalize", "", capitalize},
    {"trim", "chars", trim},
    {"replace", "!old,!new,count", replace},
    {"string", "", string},
    {"safe", "", safe},
    {"escape", "", escape},
    {"e", "", escape},
    {"forceescape", "", force_escape},
    {"format", "*", format},
    {"indent", "width,first,blank", indent},
    {"join", "d,attribute", join},
    {"wordcount", "", wordcount},
    {"center", "width", center},
    {"truncate", "length,killwords,end,leeway", truncate},
    {"tojson", "ensure_ascii,indent,separators,sort_keys", tojson},
    {"int", "default,base", to_int},
    {"float", "default", to_float},
    {"abs", "", absolute},
    {"round", "precision,method", round_number},
};

}  // namespace

std::span<const Builtin> text_filters() { return kFilters; }

Value escape_html(Runtime& runtime, const Str& text) {
  TextBuilder out;
  for_each_span(text, [&out](std::string_view part, bool user) {
    for (size_t at = 0; at < part.size();) {
      const size_t special = std::min(part.find_first_of("&<>'\"", at), part.size());
      out.append(part.substr(at, special - at), user);
      if (special == part.size()) break;
      const char c = part[special];
      out.append(c == '&'   ? "&amp;"
                 : c == '<' ? "&lt;"
                 : c == '>' ? "&gt;"
                 : c == '"' ? "&#34;"
                            : "&#39;",
                 user);
      at = special + 1;
    }
  });
  return runtime.add(std::move(out), true);
}

Result<Value> replace_text(Runtime& runtime, const Str& text, const Str& from, const Str& to,
                           int64_t count) {
  YQ_RETURN_IF_ERROR(runtime.charge_text(text.text.size()));
  Str inserted = to;
  if (text.markup && !to.markup) {
    YQ_RETURN_IF_ERROR(runtime.charge_text(to.text.size() * 5));
    inserted = *escape_html(runtime, to).str;
  }
  TextBuilder out;
  size_t at = 0;
  for (; count != 0; --count) {
    // An empty `from` is found before every character and at the end.
    const size_t found = from.text.empty() ? at : text.text.find(from.text, at);
    if (found == std::string_view::npos) break;
    YQ_RETURN_IF_ERROR(runtime.charge_text(inserted.text.size()));
    out.append(sub_str(text, at, found - at));
    out.append(inserted);
    at = found + from.text.size();
    if (!from.text.empty()) continue;
    if (at >= text.text.size()) return runtime.add(std::move(out), text.markup);
    const size_t length = char_length(text.text.substr(at));
    out.append(sub_str(text, at, length));
    at += length;
  }
  out.append(sub_str(text, at, text.text.size() - at));
  return runtime.add(std::move(out), text.markup);
}

}  // namespace yunqi::jinja
