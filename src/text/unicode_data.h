// The tables behind text/unicode.h and text/nfc.h; unicode_data.cc is generated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace yunqi::unicode_data {

inline constexpr size_t kBlockSize = 128;

// class of c = kBlocks[kBlockIndex[c / kBlockSize] * kBlockSize + c % kBlockSize]
extern const uint16_t kBlockIndex[0x110000 / kBlockSize];
extern const uint8_t kBlocks[];

// Full canonical decomposition of `from`, without Hangul; sorted by `from`.
struct Decomposition {
  char32_t from;
  uint16_t offset;  // into kDecompositionPool
  uint16_t length;
};
extern const char32_t kDecompositionPool[];
extern const Decomposition kDecompositions[];
extern const size_t kDecompositionCount;

// first + second = composite, without Hangul; sorted by (first, second).
struct Composition {
  char32_t first;
  char32_t second;
  char32_t composite;
};
extern const Composition kCompositions[];
extern const size_t kCompositionCount;

// Code points with a canonical combining class other than 0; sorted.
struct CombiningRun {
  char32_t first;
  char32_t last;
  uint8_t combining_class;
};
extern const CombiningRun kCombiningRuns[];
extern const size_t kCombiningRunCount;

}  // namespace yunqi::unicode_data
