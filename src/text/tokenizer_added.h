// Finds added tokens ("<|im_end|>") in raw text: at every place the longest, as Hugging Face does.
// Immutable after build; reads are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace yunqi {

inline constexpr size_t kMaxAddedTokens = size_t{1} << 16;
inline constexpr size_t kMaxAddedTokenBytes = 1024;
inline constexpr size_t kMaxAddedTotalBytes = size_t{1} << 22;

class AddedTokenMatcher {
 public:
  struct Match {
    size_t begin = 0;
    size_t end = 0;
    size_t token = 0;  // index in the list given to build
  };

  // Takes part of `tokens`: those for which texts[i] is not empty. Limits are the caller's to
  // check.
  static AddedTokenMatcher build(std::span<const std::string> texts);

  // The first match at or after `from`; false when there is none. O(text * longest token).
  bool find(std::string_view text, size_t from, Match& match) const;
  bool empty() const { return nodes_.size() <= 1; }

 private:
  // A trie whose children are linked lists: there are few tokens, and they branch little.
  struct Node {
    uint32_t child = 0;    // first child; 0 is none
    uint32_t sibling = 0;  // next child of the same parent
    int32_t token = -1;
    char byte = 0;
  };
  uint32_t find_child(uint32_t node, char byte) const;

  std::vector<Node> nodes_;            // nodes_[0] is the root
  std::array<uint32_t, 256> first_{};  // the root's children by byte
};

}  // namespace yunqi
