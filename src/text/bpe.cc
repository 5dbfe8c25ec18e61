// Two algorithms with one result: for short pieces arrays that are scanned for the lowest rank, for
// long ones buckets of positions by rank, so that a 10 MB run of one letter stays linear.
#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <queue>
#include <unordered_map>

namespace yunqi {
namespace {

constexpr size_t kMaxProbes = 512;
// Up to here the quadratic scan wins over the buckets.
constexpr size_t kShortPiece = 160;
// Positions inside a piece are 32-bit; a longer one is cut, which no other tool could check.
constexpr size_t kMaxPiece = size_t{1} << 30;

uint64_t hash_pair(TokenId left, TokenId right) {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  const uint64_t h = (key ^ (key >> 29)) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 32);
}

}  // namespace

Result<BytePairEncoder> BytePairEncoder::build(
    const Vocabulary& vocabulary, std::span<const std::pair<std::string, std::string>> merges) {
  if (merges.size() > kMaxMerges) {
    return error(Code::kBadFile, "merges: want at most {}, found {}", kMaxMerges, merges.size());
  }
  BytePairEncoder out;
  for (size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    out.byte_ids_[byte] = vocabulary.find({&c, 1});
    if (out.byte_ids_[byte] < 0) {
      return error(Code::kBadFile, "vocabulary: byte {:#04x} has no token; all 256 are needed",
                   byte);
    }
  }
  out.slots_.resize(std::bit_ceil(merges.size() + merges.size() / 2 + 2));
  std::string joined;
  TokenId guess = 0;  // ids mostly follow ranks, and a look at the next one costs no search
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const TokenId left_id = vocabulary.find(left);
    const TokenId right_id = vocabulary.find(right);
    joined.assign(left).append(right);
    const bool guessed = !joined.empty() && vocabulary.bytes(guess) == joined;
    const TokenId id = guessed ? guess : vocabulary.find(joined);
    guess = id + 1;
    if (left_id < 0 || right_id < 0 || id < 0) {
      return error(Code::kBadFile, "merges[{}]: its {} is not in the vocabulary", rank,
                   left_id < 0    ? "left piece"
                   : right_id < 0 ? "right piece"
                                  : "result");
    }
    YQ_RETURN_IF_ERROR(out.insert(left_id, right_id, {static_cast<uint32_t>(rank), id}));
  }
  out.byte_pairs_.resize(size_t{256} * 256);
  for (size_t i = 0; i < out.byte_pairs_.size(); ++i) {
    out.byte_pairs_[i] = out.find(out.byte_ids_[i >> 8], out.byte_ids_[i & 255]);
  }
  return out;
}

Status BytePairEncoder::insert(TokenId left, TokenId right, Merge merge) {
  const size_t mask = slots_.size() - 1;
  const uint64_t hash = hash_pair(left, right);
  for (size_t probe = 0; probe < kMaxProbes; ++probe) {
    Slot& slot = slots_[(hash + probe) & mask];
    if (slot.left < 0) {
      slot = {left, right, merge};
      return Status::ok();
    }
    if (slot.left == left && slot.right == right) {
      return error(Code::kBadFile, "merges[{}] repeats merges[{}]; each pair must come once",
                   merge.rank, slot.merge.rank);
    }
  }
  return error(Code::kBadFile, "merges[{}]: over {} pairs share its hash; the list is crafted",
               merge.rank, kMaxProbes);
}

BytePairEncoder::Merge BytePairEncoder::find(TokenId left, TokenId right) const {
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash_pair(left, right) & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.left == left && slot.right == right) return slot.merge;
    if (slot.left < 0) return {};
  }
}

void BytePairEncoder::encode(std::string_view piece, std::vector<TokenId>& out) const {
  for (; piece.size() > kMaxPiece; piece.remove_prefix(kMaxPiece)) {
    encode_long(piece.substr(0, kMaxPiece), out);
  }
  if (piece.size() <= kShortPiece) {
    encode_short(piece, out);
  } else {
    encode_long(piece, out);
  }
}

void BytePairEncoder::encode_short(std::string_view piece, std::vector<TokenId>& out) const {
  std::array<TokenId, kShortPiece> ids;        // the symbols so far
  std::array<uint32_t, kShortPiece> ranks;     // of the pair (i, i + 1)
  std::array<TokenId, kShortPiece> merged_id;  // what that pair becomes
  size_t count = piece.size();
  if (count == 0) return;
  const auto* bytes = reinterpret_cast<const unsigned char*>(piece.data());
  for (size_t i = 0; i < count; ++i) ids[i] = byte_ids_[bytes[i]];
  for (size_t i = 0; i + 1 < count; ++i) {
    const Merge merge = byte_pairs_[size_t{bytes[i]} << 8 | bytes[i + 1]];
    ranks[i] = merge.rank;
    merged_id[i] = merge.id;
  }
  const auto set_pair = [&](size_t i) {
    const Merge merge = find(ids[i], ids[i + 1]);
    ranks[i] = merge.rank;
    merged_id[i] = merge.id;
  };
  while (count > 1) {
    const auto* lowest = std::min_element(ranks.data(), ranks.data() + count - 1);
    if (*lowest == kNoRank) break;
    const auto at = static_cast<size_t>(lowest - ranks.data());
    ids[at] = merged_id[at];
    // Symbol at + 1 goes, and the pair (at, at + 1) with it.
    const size_t tail = count - at - 2;
    std::memmove(&ids[at + 1], ids.data() + at + 2, tail * sizeof ids[0]);
    if (tail > 0) {
      std::memmove(&ranks[at], &ranks[at + 1], tail * sizeof ranks[0]);
      std::memmove(&merged_id[at], &merged_id[at + 1], tail * sizeof merged_id[0]);
    }
    --count;
    if (at > 0) set_pair(at - 1);
    if (at + 1 < count) set_pair(at);
  }
  out.insert(out.end(), ids.data(), ids.data() + count);
}

// A linked list of symbols in arrays, and for every rank the positions where its pair stood when
// noted. A note is stale when its position no longer starts that pair.
struct BytePairEncoder::LongPiece {
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<TokenId> ids;  // -1 when merged into the left neighbour
  std::vector<uint32_t> next, previous;
  std::unordered_map<uint32_t, std::vector<uint32_t>> places;  // by rank
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ranks;
  // rank << 32 | position, for notes whose rank was interrupted by a lower one; needed only by
  // lists whose merges come before their parts.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> interrupted;

  void note(uint32_t rank, uint32_t at) {
    if (rank == kNoRank) return;
    std::vector<uint32_t>& list = places[rank];
    if (list.empty()) ranks.push(rank);
    list.push_back(at);
  }
  void interrupt(uint32_t rank, std::span<const uint32_t> rest) {
    for (const uint32_t at : rest) interrupted.push(uint64_t{rank} << 32 | at);
  }
  uint32_t interrupted_rank() const {
    return interrupted.empty() ? kNoRank : static_cast<uint32_t>(interrupted.top() >> 32);
  }
  uint32_t noted_rank() const { return ranks.empty() ? kNoRank : ranks.top(); }
};

// Merges the pair at `at` if it still has `rank`.
void BytePairEncoder::merge_at(LongPiece& list, uint32_t rank, uint32_t at) const {
  const uint32_t right = list.next[at];
  if (list.ids[at] < 0 || right == LongPiece::kNone) return;
  const Merge merge = find(list.ids[at], list.ids[right]);
  if (merge.rank != rank) return;
  list.ids[at] = merge.id;
  list.ids[right] = -1;
  const uint32_t after = list.next[right], before = list.previous[at];
  list.next[at] = after;
  if (after != LongPiece::kNone) {
    list.previous[after] = at;
    list.note(find(merge.id, list.ids[after]).rank, at);
  }
  if (before != LongPiece::kNone) list.note(find(list.ids[before], merge.id).rank, before);
}

void BytePairEncoder::encode_long(std::string_view piece, std::vector<TokenId>& out) const {
  const auto count = static_cast<uint32_t>(piece.size());  // encode() keeps it below 2^31
  const auto* bytes = reinterpret_cast<const unsigned char*>(piece.data());
  LongPiece list;
  list.ids.resize(count);
  list.next.resize(count);
  list.previous.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    list.ids[i] = byte_ids_[bytes[i]];
    list.next[i] = i + 1 < count ? i + 1 : LongPiece::kNone;
    list.previous[i] = i > 0 ? i - 1 : LongPiece::kNone;
    if (i + 1 < count) list.note(byte_pairs_[size_t{bytes[i]} << 8 | bytes[i + 1]].rank, i);
  }
  std::vector<uint32_t> places;
  for (;;) {
    const uint32_t rank = std::min(list.noted_rank(), list.interrupted_rank());
    if (rank == kNoRank) break;
    places.clear();
    if (rank == list.noted_rank()) {
      list.ranks.pop();
      places.swap(list.places[rank]);
    }
    if (rank == list.interrupted_rank()) {
      list.interrupt(rank, places);
      const auto at = static_cast<uint32_t>(list.interrupted.top());
      list.interrupted.pop();
      merge_at(list, rank, at);
      continue;
    }
    if (!std::is_sorted(places.begin(), places.end())) std::sort(places.begin(), places.end());
    for (size_t i = 0; i < places.size(); ++i) {
      merge_at(list, rank, places[i]);
      if (list.noted_rank() < rank) {
        list.interrupt(rank, std::span(places).subspan(i + 1));
        break;
      }
    }
  }
  for (uint32_t i = 0; i != LongPiece::kNone; i = list.next[i]) out.push_back(list.ids[i]);
}

}  // namespace yunqi
