// Building and searching the vocabulary's hash. File-controlled: bounded sizes and probe lengths.
#include "text/tokenizer_vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace yunqi {
namespace {

// A table at most two thirds full has no chain near this; a file made to collide is refused.
constexpr size_t kMaxProbes = 512;

uint64_t load(const char* p, size_t count) {
  uint64_t value = 0;
  std::memcpy(&value, p, count);
  return value;
}

uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint32_t hash_bytes(std::string_view s) {
  constexpr uint64_t kFirst = 0x9E3779B97F4A7C15u, kSecond = 0xD6E8FEB86659FD93u;
  uint64_t h = s.size() * kFirst;
  const char* p = s.data();
  size_t left = s.size();
  for (; left > 8; left -= 8, p += 8) h = mix(h ^ load(p, 8), kSecond);
  h = mix(h ^ load(p, left), kFirst);
  return static_cast<uint32_t>(h ^ (h >> 32));
}

// Up to seven bytes with their count; longer tokens by their first seven, marked.
constexpr size_t kWordBytes = 7;
constexpr uint64_t kLongWord = 0xFF;

uint64_t word_of(std::string_view s) {
  const uint64_t count = s.size() <= kWordBytes ? s.size() : kLongWord;
  return load(s.data(), std::min(s.size(), kWordBytes)) | count << 56;
}

}  // namespace

Result<Vocabulary> Vocabulary::build(std::span<const std::string> tokens) {
  if (tokens.size() > kMaxTokens) {
    return error(Code::kBadFile, "vocabulary: want at most {} tokens, found {}", kMaxTokens,
                 tokens.size());
  }
  Vocabulary out;
  size_t total = 0, used = 0;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() > kMaxTokenBytes) {
      return error(Code::kBadFile, "token {}: want at most {} bytes, found {}", id, kMaxTokenBytes,
                   tokens[id].size());
    }
    total += tokens[id].size();
    used += tokens[id].empty() ? 0 : 1;
  }
  if (total > kMaxVocabularyBytes) {
    return error(Code::kBadFile, "vocabulary: want at most {} bytes of tokens, found {}",
                 kMaxVocabularyBytes, total);
  }
  out.blob_.reserve(total);
  out.offsets_.reserve(tokens.size() + 1);
  out.offsets_.push_back(0);
  for (const std::string& token : tokens) {
    out.blob_ += token;
    out.offsets_.push_back(static_cast<uint32_t>(out.blob_.size()));
  }
  out.slots_.resize(std::bit_ceil(used + used / 2 + 2));
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) YQ_RETURN_IF_ERROR(out.insert(static_cast<TokenId>(id)));
  }
  return out;
}

Status Vocabulary::insert(TokenId id) {
  const std::string_view token = bytes(id);
  const uint32_t hash = hash_bytes(token);
  const size_t mask = slots_.size() - 1;
  for (size_t probe = 0; probe < kMaxProbes; ++probe) {
    Slot& slot = slots_[(hash + probe) & mask];
    if (slot.id < 0) {
      slot = {hash, id, word_of(token)};
      return Status::ok();
    }
    if (slot.hash == hash && bytes(slot.id) == token) {
      return error(Code::kBadFile, "tokens {} and {} have the same bytes; each token must differ",
                   slot.id, id);
    }
  }
  return error(Code::kBadFile, "token {}: over {} tokens share its hash; the vocabulary is crafted",
               id, kMaxProbes);
}

TokenId Vocabulary::find(std::string_view token) const {
  if (slots_.empty() || token.empty()) return -1;
  const uint32_t hash = hash_bytes(token);
  const size_t mask = slots_.size() - 1;
  const uint64_t word = word_of(token);
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id < 0) return -1;
    if (slot.hash != hash || slot.word != word) continue;
    if (token.size() <= kWordBytes || bytes(slot.id) == token) return slot.id;
  }
}

}  // namespace yunqi
