// The vocabulary as one block of bytes with a flat hash on top: id -> bytes and bytes -> id.
// Immutable after build; reads are thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace yunqi {

// More than any open vocabulary has (a quarter of a million), and small enough to hold.
inline constexpr size_t kMaxTokens = size_t{1} << 21;
inline constexpr size_t kMaxTokenBytes = size_t{1} << 16;
inline constexpr size_t kMaxVocabularyBytes = size_t{1} << 28;

class Vocabulary {
 public:
  // tokens[id] is the id's bytes; empty ones are unused ids. kBadFile on duplicates and over
  // limits.
  static Result<Vocabulary> build(std::span<const std::string> tokens);

  // "" for unknown ids.
  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<size_t>(static_cast<uint32_t>(id));
    if (i + 1 >= offsets_.size()) return {};
    return {blob_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
  }
  // -1 when there is none.
  TokenId find(std::string_view bytes) const;
  // Number of ids, unused ones included.
  size_t size() const { return offsets_.empty() ? 0 : offsets_.size() - 1; }

 private:
  struct Slot {
    uint32_t hash = 0;
    TokenId id = -1;    // -1 when free
    uint64_t word = 0;  // the whole token when it is short: no look into the blob then
  };
  Status insert(TokenId id);

  std::string blob_;
  std::vector<uint32_t> offsets_;  // size() + 1
  std::vector<Slot> slots_;        // a power of two, at most two thirds full
};

}  // namespace yunqi
