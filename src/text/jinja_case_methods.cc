// The methods of Python's str that change or ask for case, class and width.
#include <algorithm>

#include "base/utf8.h"
#include "text/jinja_builtin.h"
#include "text/jinja_runtime.h"
#include "text/jinja_text.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

// Greek capital sigma is a final sigma at the end of a word.
constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;

bool is_cased_char(char32_t c) {
  return is_in(CharClass::kUpper, c) || is_in(CharClass::kLower, c);
}

bool next_is_letter(std::string_view rest) {
  return !rest.empty() && is_in(CharClass::kAlpha, decode_utf8(rest).code_point);
}

template <typename Choose>
Result<Value> map_chars(Runtime& runtime, const Str& text, Choose choose) {
  YQ_RETURN_IF_ERROR(runtime.charge_text(text.text.size() * 2));
  TextBuilder out;
  bool after_cased = false;
  std::string mapped;
  for_each_span(text, [&](std::string_view part, bool user) {
    mapped.clear();
    while (!part.empty()) {
      const Utf8Char c = decode_utf8(part);
      part.remove_prefix(c.length);
      const std::optional<CaseMap> map = choose(c.code_point, after_cased);
      if (!map) {
        append_utf8(mapped, c.code_point);
      } else if (*map == CaseMap::kLower && c.code_point == kCapitalSigma && after_cased &&
                 !next_is_letter(part)) {
        append_utf8(mapped, kFinalSigma);
      } else {
        append_mapped(mapped, *map, c.code_point);
      }
      after_cased = is_cased_char(c.code_point);
    }
    out.append(mapped, user);
  });
  return runtime.add(std::move(out), text.markup);
}

}  // namespace

Result<Value> map_case(Runtime& runtime, const Str& text, CaseMap map) {
  return map_chars(runtime, text, [map](char32_t, bool) { return std::optional(map); });
}

Result<Value> capitalize_text(Runtime& runtime, const Str& text) {
  bool first = true;
  return map_chars(runtime, text, [&first](char32_t, bool) {
    return std::optional(std::exchange(first, false) ? CaseMap::kTitle : CaseMap::kLower);
  });
}

Result<Value> title_words(Runtime& runtime, const Str& text) {
  // As the filter has it: words are separated by white space, hyphens and opening brackets.
  bool first = true;
  return map_chars(runtime, text, [&first](char32_t c, bool) {
    const bool separates = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    const bool begins = std::exchange(first, separates);
    return std::optional(begins && !separates ? CaseMap::kUpper : CaseMap::kLower);
  });
}

Result<Value> pad_text(Runtime& runtime, const Str& text, int64_t width, Padding padding) {
  const auto size = static_cast<int64_t>(count_chars(text.text));
  if (width <= size) return runtime.add(text);
  const auto fill = static_cast<size_t>(width - size);
  YQ_RETURN_IF_ERROR(runtime.charge_text(fill * padding.fill.size() + text.text.size()));
  size_t left = 0;
  if (padding.side == Padding::Side::kLeft) left = fill;
  if (padding.side == Padding::Side::kBoth) {
    // CPython's rounding: the odd one goes left when the width is odd.
    left = fill / 2 + (fill & static_cast<size_t>(width) & 1);
  }
  TextBuilder out;
  for (size_t i = 0; i < left; ++i) out.append(padding.fill, false);
  out.append(text);
  for (size_t i = left; i < fill; ++i) out.append(padding.fill, false);
  return runtime.add(std::move(out), text.markup);
}

namespace {

Result<Value> upper(Runtime& runtime, const Call& call) {
  return map_case(runtime, *call.self.str, CaseMap::kUpper);
}
Result<Value> lower(Runtime& runtime, const Call& call) {
  return map_case(runtime, *call.self.str, CaseMap::kLower);
}
Result<Value> capitalize(Runtime& runtime, const Call& call) {
  return capitalize_text(runtime, *call.self.str);
}
Result<Value> title(Runtime& runtime, const Call& call) {
  return map_chars(runtime, *call.self.str, [](char32_t, bool after_cased) {
    return std::optional(after_cased ? CaseMap::kLower : CaseMap::kTitle);
  });
}
Result<Value> swapcase(Runtime& runtime, const Call& call) {
  return map_chars(runtime, *call.self.str, [](char32_t c, bool) -> std::optional<CaseMap> {
    if (is_in(CharClass::kUpper, c)) return CaseMap::kLower;
    if (is_in(CharClass::kLower, c)) return CaseMap::kUpper;
    return std::nullopt;
  });
}

// Whether the text has characters and all of them pass.
template <typename Passes>
Result<Value> all_chars(Runtime& runtime, const Call& call, Passes passes) {
  std::string_view text = call.self.str->text;
  YQ_RETURN_IF_ERROR(runtime.charge(1 + text.size()));
  if (text.empty()) return Value::of(false);
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    if (!passes(c.code_point)) return Value::of(false);
    text.remove_prefix(c.length);
  }
  return Value::of(true);
}
template <CharClass... classes>
Result<Value> all_in(Runtime& runtime, const Call& call) {
  return all_chars(runtime, call, [](char32_t c) { return (is_in(classes, c) || ...); });
}
Result<Value> all_space(Runtime& runtime, const Call& call) {
  return all_chars(runtime, call, [](char32_t c) { return is_space(c); });
}
Result<Value> all_ascii(Runtime& runtime, const Call& call) {
  YQ_RETURN_IF_ERROR(runtime.charge(1 + call.self.str->text.size() / kBytesPerStep));
  return Value::of(is_ascii(call.self.str->text));
}
template <CaseMap map>
Result<Value> all_cased(Runtime& runtime, const Call& call) {
  YQ_RETURN_IF_ERROR(runtime.charge(1 + call.self.str->text.size()));
  return Value::of(is_cased(call.self.str->text, map));
}

template <Padding::Side side>
Result<Value> pad(Runtime& runtime, const Call& call) {
  if (!call[0].is_integral()) {
    return template_error("'{}' object cannot be interpreted as an integer", type_name(call[0]));
  }
  std::string_view fill = " ";
  if (call[1].given()) {
    if (!call[1].is_string() || count_chars(call[1].str->text) != 1) {
      return template_error("the fill character must be exactly one character long");
    }
    fill = call[1].str->text;
  }
  return pad_text(runtime, *call.self.str, call[0].as_integer(), {side, fill});
}

Result<Value> zfill(Runtime& runtime, const Call& call) {
  if (!call[0].is_integral()) {
    return template_error("'{}' object cannot be interpreted as an integer", type_name(call[0]));
  }
  const Str& self = *call.self.str;
  const bool is_signed = self.text.starts_with('-') || self.text.starts_with('+');
  const size_t sign = is_signed ? 1 : 0;
  const int64_t width = call[0].as_integer() - static_cast<int64_t>(sign);
  if (call[0].as_integer() < 0) return call.self;
  YQ_TRY(const Value padded, pad_text(runtime, sub_str(self, sign, self.text.size() - sign), width,
                                      {Padding::Side::kLeft, "0"}));
  TextBuilder out;
  out.append(sub_str(self, 0, sign));
  out.append(*padded.str);
  return runtime.add(std::move(out), self.markup);
}

constexpr Builtin kMethods[] = {
    {"upper", "", upper},
    {"lower", "", lower},
    {"casefold", "", lower},
    {"capitalize", "", capitalize},
    {"title", "", title},
    {"swapcase", "", swapcase},
    {"isalpha", "", all_in<CharClass::kAlpha>},
    {"isdecimal", "", all_in<CharClass::kDecimal>},
    {"isdigit", "", all_in<CharClass::kDigit>},
    {"isnumeric", "", all_in<CharClass::kNumeric>},
    {"isalnum", "", all_in<CharClass::kAlpha, CharClass::kNumeric>},
    {"isspace", "", all_space},
    {"isascii", "", all_ascii},
    {"islower", "", all_cased<CaseMap::kLower>},
    {"isupper", "", all_cased<CaseMap::kUpper>},
    {"center", "!/width,/fillchar", pad<Padding::Side::kBoth>},
    {"ljust", "!/width,/fillchar", pad<Padding::Side::kRight>},
    {"rjust", "!/width,/fillchar", pad<Padding::Side::kLeft>},
    {"zfill", "!/width", zfill},
};

}  // namespace

std::span<const Builtin> string_case_methods() { return kMethods; }

}  // namespace yunqi::jinja
