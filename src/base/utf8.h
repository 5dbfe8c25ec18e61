// UTF-8: decode, encode, validate, and find the last whole character of a growing stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace yunqi {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct Utf8Char {
  char32_t code_point;  // kReplacementCharacter when the bytes are not valid UTF-8
  uint32_t length;      // bytes consumed, >= 1; 1 for an invalid byte
  bool valid;
};

// The character at the start of `text`, which must not be empty.
Utf8Char decode_utf8(std::string_view text);
// `code_point` must be a Unicode scalar value.
void append_utf8(std::string& out, char32_t code_point);
bool is_valid_utf8(std::string_view text);
// `text` with each maximal invalid part replaced by U+FFFD (the WHATWG rule, as Python's
// errors="replace" does).
std::string sanitize_utf8(std::string_view text);
// Bytes at the end of `text` that begin a character but do not finish it: 0 to 3.
size_t incomplete_utf8_suffix(std::string_view text);

}  // namespace yunqi
