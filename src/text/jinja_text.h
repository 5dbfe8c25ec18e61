// Operations on text that filters and methods share. Results keep the marks of their bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {

Result<Value> map_case(Runtime& runtime, const Str& text, CaseMap map);
// str.capitalize(): the first character in title case, the others lower.
Result<Value> capitalize_text(Runtime& runtime, const Str& text);
// The filter `title`, whose words are not those of str.title().
Result<Value> title_words(Runtime& runtime, const Str& text);

struct Padding {
  enum class Side { kLeft, kRight, kBoth };  // where the fill goes
  Side side;
  std::string_view fill;  // one character
};
// `text` filled up to `width` characters.
Result<Value> pad_text(Runtime& runtime, const Str& text, int64_t width, Padding padding);

}  // namespace yunqi::jinja
