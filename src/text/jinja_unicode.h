// Python's view of characters: white space, printable, upper and lower case, by code point.
// Strings are valid UTF-8; positions in bytes unless a name says chars. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace yunqi::jinja {

// Bytes of the first character of `text`, which is not empty.
size_t char_length(std::string_view text);
size_t count_chars(std::string_view text);
// Where character number `index` begins; the end of `text` when it has fewer.
size_t char_offset(std::string_view text, size_t index);
bool is_ascii(std::string_view text);

// Bytes of the white space character at the start of `text`; 0 when there is none.
size_t space_length(std::string_view text);
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) { return strip_right(strip_left(text)); }

// A line end of str.splitlines() at the start of `text`: its bytes, 0 when there is none.
size_t line_end_length(std::string_view text);

enum class CharClass { kAlpha, kDecimal, kDigit, kNumeric, kUpper, kLower, kPrintable };
bool is_in(CharClass char_class, char32_t c);
bool is_space(char32_t c);

enum class CaseMap { kUpper, kLower, kTitle };
// Appends the mapping of `c`, up to three characters. Final sigma is the caller's concern.
void append_mapped(std::string& out, CaseMap map, char32_t c);

// str.islower() (or isupper()): some character has case, and none has the other one.
bool is_cased(std::string_view text, CaseMap map);

}  // namespace yunqi::jinja
