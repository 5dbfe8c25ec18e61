// Which tokens may come next, as bits, and the vocabulary laid out as a tree so that one walk over
// an automaton finds them all. A vocabulary is built once per tokenizer and shared by all threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/regex_automaton.h"
#include "text/tokenizer.h"

namespace yunqi {

inline constexpr int32_t kMaxMaskedTokens = 1 << 20;
inline constexpr size_t kMaxMaskedTokenBytes = 1024;  // longer tokens are never allowed

// Bit i says whether token i may come next.
class TokenMask {
 public:
  explicit TokenMask(int32_t size = 0)
      : size_(size), words_((static_cast<size_t>(size) + 63) / 64) {}

  int32_t size() const { return size_; }
  void clear() { std::fill(words_.begin(), words_.end(), 0); }
  void set(TokenId id) { words_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64); }
  void reset(TokenId id) { words_[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << (id % 64)); }
  bool test(TokenId id) const {
    return id >= 0 && id < size_ && (words_[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0;
  }
  void add(const TokenMask& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  size_t count() const;
  std::span<const uint64_t> words() const { return words_; }

 private:
  int32_t size_;
  std::vector<uint64_t> words_;
};

// All token texts as one tree in pre-order: the subtree of node i is i+1 .. end-1.
struct TokenTree {
  struct Node {
    uint32_t end = 0;
    TokenId token = -1;  // the token that ends here
    uint16_t depth = 0;  // bytes up to and with this one, >= 1
    uint8_t byte = 0;
  };
  std::vector<Node> nodes;
  uint32_t max_depth = 0;

  // `tokens` need not be sorted; texts must differ.
  static TokenTree of(std::vector<std::pair<std::string_view, TokenId>> tokens);
  // The nodes below the path `text`, as [first, last), with the node of `text` itself at first;
  // empty when no token starts so.
  std::pair<uint32_t, uint32_t> below(std::string_view text) const;
};

class GrammarVocabulary {
 public:
  // `stop` are the ids that end an answer: a mask allows them when the grammar is complete. Special
  // tokens are never part of a grammar; other added tokens (<tool_call>) only of its literals.
  // The tokenizer must outlive the vocabulary.
  static Result<std::shared_ptr<const GrammarVocabulary>> create(const Tokenizer& tokenizer,
                                                                 std::vector<TokenId> stop);

  int32_t size() const { return static_cast<int32_t>(texts_.size()); }
  // "" for ids that are never part of a grammar.
  std::string_view text(TokenId id) const {
    return id >= 0 && id < size() ? texts_[static_cast<size_t>(id)] : std::string_view();
  }
  bool is_stop(TokenId id) const;
  bool is_added(TokenId id) const;
  const std::vector<TokenId>& stop() const { return stop_; }
  const TokenTree& tree() const { return tree_; }
  const TokenTree& added_tree() const { return added_tree_; }

 private:
  GrammarVocabulary() = default;
  std::vector<std::string_view> texts_;
  std::vector<TokenId> stop_, added_;
  TokenTree tree_, added_tree_;
};

// What one automaton state allows, without knowing what follows the automaton: tokens that stay
// inside it or end exactly where it may end, and, for the others, what is left of them after the
// automaton's end, as a tree of its own.
struct LocalMask {
  struct Rest {
    uint32_t end = 0;                          // of the subtree, pre-order
    uint32_t first_token = 0, last_token = 0;  // in `tokens`
    uint16_t depth = 0;
    uint8_t byte = 0;
  };
  bool is_dense = false;
  TokenMask dense;           // when is_dense
  std::vector<TokenId> few;  // when not
  std::vector<Rest> rests;
  std::vector<TokenId> tokens;
  std::vector<uint16_t> marks;  // beside `tokens`: characters before the end (string tables only)

  void add_to(TokenMask& mask) const {
    if (is_dense) {
      mask.add(dense);
    } else {
      for (const TokenId id : few) mask.set(id);
    }
  }
  size_t bytes() const;
};

// The local mask of `state`. With `with_added`, added tokens count too, as long as they end inside
// the automaton or at its end. `follow`, unless null, matches prefixes of whatever may come after
// the automaton: rests that contradict it are left out.
LocalMask local_mask(const GrammarVocabulary& vocabulary, const Dfa& dfa, uint32_t state,
                     bool with_added, const Dfa* follow);

// A JSON string's automaton that counts characters: `body` is its state between two characters,
// `start` the one before the opening quote; the closing quote ends it.
struct CountedString {
  Dfa dfa;
  uint32_t body = 0;
};

// What the inside of a string allows, for any number of characters still wanted and left.
class StringTables {
 public:
  StringTables(const GrammarVocabulary& vocabulary, const CountedString& string);

  // The mask inside a string between two characters when `left` more may come.
  void add_to(TokenMask& mask, uint32_t left) const;
  // Tokens that end the string; marks say after how many characters.
  const LocalMask& ends() const { return ends_; }

 private:
  static constexpr uint32_t kDirect = 16;
  std::vector<TokenMask> at_most_;  // [kDirect]: tokens that begin at most that many characters
  TokenMask all_;
  std::vector<std::pair<uint16_t, TokenId>> long_;  // more than kDirect - 1 characters, descending
  LocalMask ends_;
};

// As local_mask, for a counted string in any state; `count` characters are done of min to max.
LocalMask counted_mask(const GrammarVocabulary& vocabulary, const CountedString& string,
                       uint32_t state, uint32_t count, uint32_t min, uint32_t max);

// One byte further in a counted string; false when it may not come.
inline bool step_counted(const CountedString& string, uint32_t& state, uint32_t& count,
                         uint8_t byte, uint32_t min, uint32_t max) {
  if (state == string.body && (byte == '"' ? count < min : count >= max)) return false;
  const uint32_t to = string.dfa.step(state, byte);
  if (to == Dfa::kDead) return false;
  if (to == string.body && state != string.dfa.start) ++count;
  state = to;
  return true;
}

}  // namespace yunqi
