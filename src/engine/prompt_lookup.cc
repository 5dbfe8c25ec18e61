// See prompt_lookup.h.
#include "engine/prompt_lookup.h"

#include <algorithm>
#include <bit>

namespace yunqi {
namespace {

constexpr size_t kLeastSlots = 64, kMostSlots = 16384;

}  // namespace

void PromptLookup::reserve(size_t max_tokens) {
  last_.assign(std::bit_ceil(std::clamp(2 * max_tokens, kLeastSlots, kMostSlots)), 0);
}

size_t PromptLookup::slot_of(std::span<const int32_t> gram) const {
  uint64_t hash = 0;
  for (const int32_t token : gram) {
    hash = (hash + static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash & (last_.size() - 1);
}

void PromptLookup::propose(std::span<const int32_t> tokens, size_t most,
                           std::vector<int32_t>& draft) {
  draft.clear();
  if (last_.empty() || tokens.size() <= kGram) return;
  // All grams but the one at the end, whose earlier occurrence is what is looked for.
  for (indexed_ = std::max(indexed_, kGram - 1); indexed_ + 1 < tokens.size(); ++indexed_) {
    const size_t end = indexed_ + 1;
    last_[slot_of(tokens.subspan(end - kGram, kGram))] = static_cast<int32_t>(end);
  }
  const auto gram = tokens.last(kGram);
  const auto next = static_cast<size_t>(last_[slot_of(gram)]);
  if (next < kGram || !std::ranges::equal(tokens.subspan(next - kGram, kGram), gram)) return;
  const auto found = tokens.subspan(next, std::min(most, tokens.size() - next));
  draft.assign(found.begin(), found.end());
}

}  // namespace yunqi
