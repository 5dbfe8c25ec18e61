// See utf8.h. Follows table 3-7 of the Unicode standard: the second byte's range depends on the
// first, which rules out overlong forms, surrogates and values above U+10FFFF.
#include "base/utf8.h"

namespace yunqi {
namespace {

struct Lead {
  uint32_t length;  // 0: not a first byte
  uint8_t second_min, second_max;
};

constexpr Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Bytes at the start of `text` that form a character or a proper beginning of one.
uint32_t matched_length(std::string_view text, const Lead& lead) {
  uint32_t matched = 1;
  while (matched < lead.length && matched < text.size()) {
    const auto byte = static_cast<uint8_t>(text[matched]);
    const uint8_t min = matched == 1 ? lead.second_min : 0x80;
    const uint8_t max = matched == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) break;
    ++matched;
  }
  return matched;
}

}  // namespace

Utf8Char decode_utf8(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = lead_of(first);
  if (lead.length == 0 || matched_length(text, lead) < lead.length) {
    return {kReplacementCharacter, 1, false};
  }
  char32_t code_point = first & (0x7Fu >> lead.length);
  for (uint32_t i = 1; i < lead.length; ++i) {
    code_point = (code_point << 6) | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  }
  return {code_point, lead.length, true};
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = decode_utf8(text);
    if (!c.valid) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

std::string sanitize_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Lead lead = lead_of(static_cast<uint8_t>(text[0]));
    const uint32_t matched = matched_length(text, lead);
    if (matched == lead.length) {
      out.append(text.substr(0, matched));
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    text.remove_prefix(matched);
  }
  return out;
}

size_t incomplete_utf8_suffix(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    const auto first = static_cast<uint8_t>(tail[0]);
    if (first >= 0x80 && first < 0xC0) continue;  // in the middle: its first byte is further back
    const Lead lead = lead_of(first);
    return lead.length > back && matched_length(tail, lead) == back ? back : 0;
  }
  return 0;
}

}  // namespace yunqi
