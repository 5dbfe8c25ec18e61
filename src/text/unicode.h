// Character classes as the tokenizers' regex engine sees them, and a UTF-8 decoder small enough to
// be inlined into the scanners. Pure functions over constant tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/unicode_data.h"

namespace yunqi {

// The classes that the pre-tokeniser regexes tell apart; kNewline is \r or \n only.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kMark, kSpace, kNewline };

inline constexpr uint8_t kCharClassMask = 0x0F;
// Set on every character that NFC may change, move or compose with the one before it.
inline constexpr uint8_t kNfcActiveFlag = 0x80;

// Class and flag of a scalar value (< 0x110000).
inline uint8_t char_info(char32_t c) {
  constexpr size_t kSize = unicode_data::kBlockSize;
  return unicode_data::kBlocks[unicode_data::kBlockIndex[c / kSize] * kSize + c % kSize];
}

struct ScannedChar {
  char32_t code_point;  // meaningless when not valid
  uint32_t length;      // bytes, >= 1; 1 for an invalid byte
  bool valid;
};

// As base's decode_utf8, inline: the scanners call it for every character. `at` < text.size().
inline ScannedChar scan_char(std::string_view text, size_t at) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data()) + at;
  const size_t left = text.size() - at;
  const uint32_t lead = p[0];
  const auto tail = [p](size_t i) { return (p[i] & 0xC0u) == 0x80u; };
  if (lead < 0x80) return {lead, 1, true};
  if (lead >= 0xE0 && lead < 0xF0 && left >= 3 && tail(1) && tail(2)) {
    const uint32_t c = (lead & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    if (c >= 0x800 && (c < 0xD800 || c >= 0xE000)) return {c, 3, true};
  } else if (lead >= 0xC2 && lead < 0xE0 && left >= 2 && tail(1)) {
    return {(lead & 0x1Fu) << 6 | (p[1] & 0x3Fu), 2, true};
  } else if (lead >= 0xF0 && lead < 0xF5 && left >= 4 && tail(1) && tail(2) && tail(3)) {
    const uint32_t c =
        (lead & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    if (c >= 0x10000 && c < 0x110000) return {c, 4, true};
  }
  return {0, 1, false};
}

}  // namespace yunqi
