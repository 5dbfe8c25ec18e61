// NFC by the Unicode Standard's chapter 3.11: decompose, order marks, compose. Only stretches that
// hold an active character are touched; everything between them is copied.
#include "text/nfc.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "base/utf8.h"
#include "text/unicode.h"

namespace yunqi {
namespace {

// Hangul syllables are computed, section 3.12.
constexpr char32_t kHangulBase = 0xAC00, kLeadBase = 0x1100, kVowelBase = 0x1161,
                   kTailBase = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kHangulCount = kLeadCount * kVowelCount * kTailCount;

struct MarkedChar {
  char32_t code_point;
  uint8_t combining_class;
};

uint8_t combining_class(char32_t c) {
  const std::span runs(unicode_data::kCombiningRuns, unicode_data::kCombiningRunCount);
  const auto run = std::lower_bound(runs.begin(), runs.end(), c,
                                    [](const auto& r, char32_t value) { return r.last < value; });
  return run != runs.end() && run->first <= c ? run->combining_class : uint8_t{0};
}

void append_decomposed(std::vector<MarkedChar>& out, char32_t c) {
  if (c - kHangulBase < kHangulCount) {  // wraps to a large value below the block
    const char32_t index = c - kHangulBase;
    out.push_back({kLeadBase + index / (kVowelCount * kTailCount), 0});
    out.push_back({kVowelBase + index % (kVowelCount * kTailCount) / kTailCount, 0});
    if (index % kTailCount != 0) out.push_back({kTailBase + index % kTailCount, 0});
    return;
  }
  const std::span table(unicode_data::kDecompositions, unicode_data::kDecompositionCount);
  const auto entry = std::lower_bound(table.begin(), table.end(), c,
                                      [](const auto& d, char32_t value) { return d.from < value; });
  if (entry == table.end() || entry->from != c) {
    out.push_back({c, combining_class(c)});
    return;
  }
  for (size_t i = 0; i < entry->length; ++i) {
    const char32_t part = unicode_data::kDecompositionPool[entry->offset + i];
    out.push_back({part, combining_class(part)});
  }
}

// The primary composite of a pair, or 0.
char32_t compose(char32_t first, char32_t second) {
  if (first - kLeadBase < kLeadCount && second - kVowelBase < kVowelCount) {
    return kHangulBase + ((first - kLeadBase) * kVowelCount + (second - kVowelBase)) * kTailCount;
  }
  if (first - kHangulBase < kHangulCount && (first - kHangulBase) % kTailCount == 0 &&
      second > kTailBase && second - kTailBase < kTailCount) {
    return first + (second - kTailBase);
  }
  const std::span table(unicode_data::kCompositions, unicode_data::kCompositionCount);
  const auto entry =
      std::lower_bound(table.begin(), table.end(), std::pair(first, second),
                       [](const auto& c, const std::pair<char32_t, char32_t>& value) {
                         return std::pair(c.first, c.second) < value;
                       });
  if (entry == table.end() || entry->first != first || entry->second != second) return 0;
  return entry->composite;
}

// Marks between two starters, by class; equal classes keep their order.
void order_marks(std::vector<MarkedChar>& chars) {
  for (size_t i = 0; i < chars.size();) {
    if (chars[i].combining_class == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < chars.size() && chars[end].combining_class != 0) ++end;
    std::stable_sort(chars.begin() + static_cast<ptrdiff_t>(i),
                     chars.begin() + static_cast<ptrdiff_t>(end),
                     [](auto a, auto b) { return a.combining_class < b.combining_class; });
    i = end;
  }
}

void compose_all(std::vector<MarkedChar>& chars) {
  size_t kept = 0;
  size_t starter = SIZE_MAX;  // index of the last starter kept
  uint8_t last_class = 0;     // class of the last character kept after that starter
  for (const MarkedChar c : chars) {
    // Blocked when a character of the same or a higher class, or a starter, stands between.
    const bool adjacent = starter != SIZE_MAX && kept == starter + 1;
    if (starter != SIZE_MAX && (adjacent || (last_class != 0 && last_class < c.combining_class))) {
      if (const char32_t whole = compose(chars[starter].code_point, c.code_point)) {
        chars[starter].code_point = whole;
        continue;
      }
    }
    if (c.combining_class == 0) starter = kept;
    last_class = c.combining_class;
    chars[kept++] = c;
  }
  chars.resize(kept);
}

}  // namespace

NfcNeed check_nfc(std::string_view text) {
  bool active = false;
  for (size_t i = 0; i < text.size();) {
    uint64_t eight;
    if (i + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    const ScannedChar c = scan_char(text, i);
    if (!c.valid) return NfcNeed::kInvalid;
    active |= (char_info(c.code_point) & kNfcActiveFlag) != 0;
    i += c.length;
  }
  return active ? NfcNeed::kActive : NfcNeed::kNone;
}

std::string normalize_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::vector<MarkedChar> chars;
  size_t copied = 0;    // bytes of `text` already in `out`
  size_t previous = 0;  // start of the character before `i`
  for (size_t i = 0; i < text.size();) {
    ScannedChar c = scan_char(text, i);
    if ((char_info(c.code_point) & kNfcActiveFlag) == 0) {
      previous = i;
      i += c.length;
      continue;
    }
    // An active stretch starts one inert character early: that one may compose with its marks.
    out.append(text, copied, previous - copied);
    chars.clear();
    for (size_t at = previous; at < i;) {
      const ScannedChar before = scan_char(text, at);
      append_decomposed(chars, before.code_point);
      at += before.length;
    }
    while ((char_info(c.code_point) & kNfcActiveFlag) != 0) {
      append_decomposed(chars, c.code_point);
      i += c.length;
      if (i >= text.size()) break;
      c = scan_char(text, i);
    }
    order_marks(chars);
    compose_all(chars);
    for (const MarkedChar& whole : chars) append_utf8(out, whole.code_point);
    copied = previous = i;
  }
  out.append(text, copied);
  return out;
}

}  // namespace yunqi
