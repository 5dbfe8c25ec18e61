// tiktoken files: "base64 rank" lines, without merges. They are derived: what the tokens of lower
// rank make of a token's bytes is the pair that it is merged from. Untrusted input.
#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "text/tokenizer.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 26;
// Deriving is quadratic in a token; the family's longest has 128 bytes.
constexpr size_t kMaxTiktokenBytes = 256;

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int pad = 0; pad < 2 && text.ends_with('='); ++pad) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xFFFFFF;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

// Merges `token` with the tokens of lower rank only; returns where its parts start.
std::vector<size_t> parts_below(const Vocabulary& vocabulary, TokenId rank,
                                std::string_view token) {
  std::vector<size_t> starts(token.size() + 1);  // and the end
  for (size_t i = 0; i < starts.size(); ++i) starts[i] = i;
  std::vector<TokenId> pairs(token.size());  // rank of parts i and i + 1 together
  const auto rank_pair = [&](size_t i) {
    pairs[i] = vocabulary.find(token.substr(starts[i], starts[i + 2] - starts[i]));
  };
  for (size_t i = 0; i + 2 < starts.size(); ++i) rank_pair(i);
  for (;;) {
    size_t lowest = SIZE_MAX;
    for (size_t i = 0; i + 2 < starts.size(); ++i) {
      if (pairs[i] >= 0 && pairs[i] < rank && (lowest == SIZE_MAX || pairs[i] < pairs[lowest])) {
        lowest = i;
      }
    }
    if (lowest == SIZE_MAX) return starts;
    starts.erase(starts.begin() + static_cast<ptrdiff_t>(lowest) + 1);
    pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(lowest));
    if (lowest > 0) rank_pair(lowest - 1);
    if (lowest + 2 < starts.size()) rank_pair(lowest);
  }
}

// Appends the merges that make token `rank`. A token that lower ranks alone never bring down to
// two parts can still be met as any two tokens that spell it.
void derive_merges(const Vocabulary& vocabulary, TokenId rank, TokenizerSpec& spec) {
  const std::string_view token = vocabulary.bytes(rank);
  if (token.size() < 2) return;
  const auto starts = parts_below(vocabulary, rank, token);
  if (starts.size() == 3) {
    spec.merges.emplace_back(token.substr(0, starts[1]), token.substr(starts[1]));
    return;
  }
  std::vector<std::pair<TokenId, TokenId>> splits;
  for (size_t cut = 1; cut < token.size(); ++cut) {
    const TokenId left = vocabulary.find(token.substr(0, cut));
    const TokenId right = vocabulary.find(token.substr(cut));
    if (left >= 0 && right >= 0) splits.emplace_back(left, right);
  }
  std::sort(splits.begin(), splits.end());
  for (const auto& [left, right] : splits) {
    spec.merges.emplace_back(vocabulary.bytes(left), vocabulary.bytes(right));
  }
}

Status read_line(std::string_view line, size_t number, TokenizerSpec& spec) {
  const size_t space = std::min(line.find(' '), line.size());
  auto bytes = decode_base64(line.substr(0, space));
  const std::string_view digits = line.substr(std::min(space + 1, line.size()));
  uint32_t rank = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (!bytes || bytes->empty() || bytes->size() > kMaxTiktokenBytes || failure != std::errc() ||
      end != digits.data() + digits.size() || rank >= kMaxTokens) {
    return error(Code::kBadFile,
                 "tiktoken file line {}: want base64 of 1 to {} bytes, a space and a rank below {}",
                 number, kMaxTiktokenBytes, kMaxTokens);
  }
  if (rank >= spec.tokens.size()) spec.tokens.resize(size_t{rank} + 1);
  if (!spec.tokens[rank].empty()) {
    return error(Code::kBadFile, "tiktoken file line {}: rank {} is there twice", number, rank);
  }
  spec.tokens[rank] = *std::move(bytes);
  return Status::ok();
}

}  // namespace

Result<TokenizerSpec> parse_tiktoken(std::string_view text, std::vector<AddedToken> added) {
  if (text.size() > kMaxFileBytes) {
    return error(Code::kBadFile, "tiktoken file: want at most {} bytes, found {}", kMaxFileBytes,
                 text.size());
  }
  TokenizerSpec spec;
  spec.whole_pieces_first = true;
  spec.added = std::move(added);
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) YQ_RETURN_IF_ERROR(read_line(line, number, spec));
  }
  YQ_TRY(const Vocabulary vocabulary, Vocabulary::build(spec.tokens));
  for (size_t rank = 0; rank < spec.tokens.size(); ++rank) {
    derive_merges(vocabulary, static_cast<TokenId>(rank), spec);
  }
  return spec;
}

}  // namespace yunqi
