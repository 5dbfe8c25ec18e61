// See synthetic_vocabulary.h. Pieces are made in rounds: every piece of the round before, followed
// by one letter, so that each has exactly one merge and comes after its parts.
#include "model/synthetic_vocabulary.h"

#include <fmt/format.h>

#include "base/check.h"

namespace yunqi {
namespace {

constexpr int32_t kBytes = 256;
constexpr int32_t kControlTokens = 16;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
enum TokenType : int32_t { kNormal = 1, kControl = 3, kUnused = 5 };

// A code point below U+0800 as UTF-8.
std::string utf8(uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

// GPT-2's alphabet: printable bytes stand for themselves, the others for U+0100 and up in order.
std::vector<std::string> byte_alphabet() {
  std::vector<std::string> out;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < kBytes; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
                           (byte >= 0xae && byte <= 0xff);
    out.push_back(utf8(printable ? byte : next++));
  }
  return out;
}

}  // namespace

SyntheticVocabulary make_synthetic_vocabulary(int32_t ids, int32_t rows) {
  YQ_CHECK(ids >= kBytes + kControlTokens && ids <= rows, "{} ids in {} rows", ids, rows);
  SyntheticVocabulary out;
  out.tokens = byte_alphabet();
  const auto pieces = static_cast<size_t>(ids - kControlTokens);
  std::vector<std::string> round{out.tokens[' ']};
  for (const char letter : kLetters) round.push_back(std::string(1, letter));
  while (out.tokens.size() < pieces) {
    std::vector<std::string> next;
    for (const std::string& prefix : round) {
      for (const char letter : kLetters) {
        if (out.tokens.size() == pieces) break;
        next.push_back(prefix + letter);
        out.tokens.push_back(next.back());
        out.merges.push_back(fmt::format("{} {}", prefix, letter));
      }
    }
    round = std::move(next);
  }
  out.types.assign(pieces, kNormal);
  out.end_of_text = static_cast<int32_t>(pieces);
  out.end_of_turn = out.end_of_text + 2;
  out.tokens.insert(out.tokens.end(), {"<|endoftext|>", "<|im_start|>", "<|im_end|>"});
  while (out.tokens.size() < static_cast<size_t>(ids)) {
    out.tokens.push_back(fmt::format("<|reserved_{}|>", out.tokens.size() - pieces));
  }
  out.types.resize(static_cast<size_t>(ids), kControl);
  while (out.tokens.size() < static_cast<size_t>(rows)) {
    out.tokens.push_back(fmt::format("[PAD{}]", out.tokens.size()));
  }
  out.types.resize(static_cast<size_t>(rows), kUnused);
  return out;
}

}  // namespace yunqi
