// Python's view of characters: look-ups in the generated tables, with a fast path for ASCII.
#include "text/jinja_unicode.h"

#include <algorithm>
#include <span>

#include "base/utf8.h"
#include "text/jinja_unicode_data.h"

namespace yunqi::jinja {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::span<const CharRange> ranges_of(CharClass char_class) {
  switch (char_class) {
    case CharClass::kAlpha:
      return {kAlphaRanges, kAlphaRangeCount};
    case CharClass::kDecimal:
      return {kDecimalRanges, kDecimalRangeCount};
    case CharClass::kDigit:
      return {kDigitRanges, kDigitRangeCount};
    case CharClass::kNumeric:
      return {kNumericRanges, kNumericRangeCount};
    case CharClass::kUpper:
      return {kUpperRanges, kUpperRangeCount};
    case CharClass::kLower:
      return {kLowerRanges, kLowerRangeCount};
    case CharClass::kPrintable:
      return {kPrintableRanges, kPrintableRangeCount};
  }
  return {};
}

std::span<const CaseMapping> mappings_of(CaseMap map) {
  switch (map) {
    case CaseMap::kUpper:
      return {kUpperMappings, kUpperMappingCount};
    case CaseMap::kLower:
      return {kLowerMappings, kLowerMappingCount};
    case CaseMap::kTitle:
      return {kTitleMappings, kTitleMappingCount};
  }
  return {};
}

}  // namespace

size_t char_length(std::string_view text) { return decode_utf8(text).length; }

size_t count_chars(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

size_t char_offset(std::string_view text, size_t index) {
  size_t at = 0;
  while (at < text.size() && index > 0) {
    ++at;
    while (at < text.size() && is_continuation(text[at])) ++at;
    --index;
  }
  return at;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t space_length(std::string_view text) {
  if (text.empty()) return 0;
  const Utf8Char c = decode_utf8(text);
  return is_space(c.code_point) ? c.length : 0;
}

std::string_view strip_left(std::string_view text) {
  while (const size_t length = space_length(text)) text.remove_prefix(length);
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && is_continuation(text[last])) --last;
    if (space_length(text.substr(last)) != text.size() - last) break;
    text = text.substr(0, last);
  }
  return text;
}

size_t line_end_length(std::string_view text) {
  if (text.empty()) return 0;
  if (text.starts_with("\r\n")) return 2;
  const Utf8Char c = decode_utf8(text);
  const char32_t p = c.code_point;
  const bool ends = (p >= 0x0A && p <= 0x0D) || (p >= 0x1C && p <= 0x1E) || p == 0x85 ||
                    p == 0x2028 || p == 0x2029;
  return ends ? c.length : 0;
}

bool is_in(CharClass char_class, char32_t c) {
  const auto ranges = ranges_of(char_class);
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t p, const CharRange& r) { return p < r.first; });
  return after != ranges.begin() && c <= (after - 1)->last;
}

void append_mapped(std::string& out, CaseMap map, char32_t c) {
  if (c < 0x80) {
    const bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    const bool flips = map == CaseMap::kLower ? upper : lower;
    out += static_cast<char>(flips ? c ^ 0x20 : c);
    return;
  }
  const auto mappings = mappings_of(map);
  const auto found = std::lower_bound(mappings.begin(), mappings.end(), c,
                                      [](const CaseMapping& m, char32_t p) { return m.from < p; });
  if (found == mappings.end() || found->from != c) return append_utf8(out, c);
  for (const char32_t to : found->to) {
    if (to != 0) append_utf8(out, to);
  }
}

bool is_cased(std::string_view text, CaseMap map) {
  const CharClass wanted = map == CaseMap::kLower ? CharClass::kLower : CharClass::kUpper;
  const CharClass other = map == CaseMap::kLower ? CharClass::kUpper : CharClass::kLower;
  bool found = false;
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    if (is_in(other, c.code_point)) return false;
    found = found || is_in(wanted, c.code_point);
    text.remove_prefix(c.length);
  }
  return found;
}

}  // namespace yunqi::jinja
