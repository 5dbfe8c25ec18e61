// Byte-pair encoding of one piece of text: repeatedly merges the adjacent pair of lowest rank, the
// leftmost of equals. Immutable after build; encode() is thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {

inline constexpr size_t kMaxMerges = size_t{1} << 21;

class BytePairEncoder {
 public:
  // `merges` in rank order, as the bytes of left and right. kBadFile when one of the 256 bytes has
  // no token, or a merge or its result is not in the vocabulary, or a pair is there twice.
  static Result<BytePairEncoder> build(const Vocabulary& vocabulary,
                                       std::span<const std::pair<std::string, std::string>> merges);

  // Appends the ids of `piece`. O(n log n) for n bytes.
  void encode(std::string_view piece, std::vector<TokenId>& out) const;

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Merge {
    uint32_t rank = kNoRank;
    TokenId id = -1;
  };
  struct Slot {
    TokenId left = -1;  // -1 when free
    TokenId right = -1;
    Merge merge;
  };

  Status insert(TokenId left, TokenId right, Merge merge);
  Merge find(TokenId left, TokenId right) const;
  void encode_short(std::string_view piece, std::vector<TokenId>& out) const;
  void encode_long(std::string_view piece, std::vector<TokenId>& out) const;
  struct LongPiece;
  void merge_at(LongPiece& list, uint32_t rank, uint32_t at) const;

  std::array<TokenId, 256> byte_ids_{};
  std::vector<Merge>
      byte_pairs_;           // [left byte * 256 + right byte], so that the first pass is direct
  std::vector<Slot> slots_;  // a power of two, at most two thirds full
};

}  // namespace yunqi
