// Drafts without a model: what followed the last few tokens when they were seen before in the same
// sequence (Saxena, "Prompt lookup decoding", 2023). Memory is sized once. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace yunqi {

class PromptLookup {
 public:
  static constexpr size_t kGram = 3;  // tokens that must match

  // For sequences of up to `max_tokens`. Longer ones are drafted for too, but forget more.
  void reserve(size_t max_tokens);
  // Fills `draft` with up to `most` tokens that may follow; none when the end was not seen before.
  // `tokens` must begin with those of the last call.
  void propose(std::span<const int32_t> tokens, size_t most, std::vector<int32_t>& draft);

 private:
  size_t slot_of(std::span<const int32_t> gram) const;

  std::vector<int32_t> last_;  // by hash of a gram: the index after its last occurrence, or 0
  size_t indexed_ = 0;         // grams that end at or before this token are in
};

}  // namespace yunqi
