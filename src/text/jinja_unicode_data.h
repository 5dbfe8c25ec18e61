// Tables behind jinja_unicode.h; the data is generated (jinja_unicode_data.cc).
#pragma once

#include <cstddef>

namespace yunqi::jinja {

struct CharRange {
  char32_t first, last;
};
struct CaseMapping {
  char32_t from;
  char32_t to[3];  // zero: no more
};

extern const CharRange kAlphaRanges[], kDecimalRanges[], kDigitRanges[], kNumericRanges[],
    kUpperRanges[], kLowerRanges[], kPrintableRanges[];
extern const size_t kAlphaRangeCount, kDecimalRangeCount, kDigitRangeCount, kNumericRangeCount,
    kUpperRangeCount, kLowerRangeCount, kPrintableRangeCount;
extern const CaseMapping kUpperMappings[], kLowerMappings[], kTitleMappings[];
extern const size_t kUpperMappingCount, kLowerMappingCount, kTitleMappingCount;

}  // namespace yunqi::jinja
