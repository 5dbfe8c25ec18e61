// Deterministic automata over bytes: what patterns, numbers, literals and string bounds become.
// Immutable values once built; every operation works within a budget of states and steps, so that
// hostile patterns end in an error and not in a long wait.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/grammar_ast.h"

namespace yunqi {

inline constexpr uint32_t kMaxNfaStates = 60'000;
inline constexpr uint32_t kMaxDfaStates = 20'000;
// States times byte classes, which is what a table costs.
inline constexpr size_t kMaxDfaCells = 2'000'000;
// Members of all the state sets that one construction visits.
inline constexpr size_t kMaxDfaWork = 4'000'000;

// Every state but kDead can still reach an accepting one, so a text that is not dead can always
// be completed.
struct Dfa {
  static constexpr uint32_t kDead = 0;

  std::array<uint8_t, 256> byte_class{};
  uint32_t class_count = 1;
  uint32_t start = kDead;
  std::vector<uint32_t> next = {kDead};  // [states, class_count]
  std::vector<uint8_t> accepts = {0};    // [states], 0 or 1

  uint32_t states() const { return static_cast<uint32_t>(accepts.size()); }
  uint32_t step(uint32_t state, uint8_t byte) const {
    return next[size_t{state} * class_count + byte_class[byte]];
  }
  // Whether any byte leads on from `state`.
  bool has_exit(uint32_t state) const;
  bool matches(std::string_view text) const;
  bool is_empty() const { return start == kDead; }
};

enum class Anchoring { kFull, kSearch };  // the whole text, or anywhere in it

// `node` must hold no kRule. Errors are kInvalidArgument ("too many states").
Result<Dfa> build_dfa(const GrammarNode& node, Anchoring anchoring = Anchoring::kFull);

enum class DfaOperation { kIntersect, kUnite, kSubtract };
Result<Dfa> combine(const Dfa& a, const Dfa& b, DfaOperation operation);
// All valid UTF-8 that `a` does not match.
Result<Dfa> complement_text(const Dfa& a);
// Exactly these strings.
Result<Dfa> dfa_of_strings(std::span<const std::string> strings);
// All valid UTF-8 of min to max code points (max may be GrammarNode::kUnbounded).
Result<Dfa> dfa_of_lengths(uint32_t min, uint32_t max);

// The matched strings, when there are at most `most` of them; else an empty optional.
std::optional<std::vector<std::string>> finite_strings(const Dfa& dfa, size_t most);

// The bytes of the longest matched string; nullopt when there is no longest one.
std::optional<size_t> longest_bytes(const Dfa& dfa);

// Assembles a Dfa from states and edges added one by one; `finish` trims what is dead.
class DfaBuilder {
 public:
  uint32_t add_state(bool accepts = false) {
    accepts_.push_back(accepts);
    return size() - 1;
  }
  void set_accepting(uint32_t state) { accepts_[state] = 1; }
  // Later edges replace earlier ones.
  void add_edge(uint32_t from, uint8_t byte, uint32_t to) {
    edges_.push_back({from, to, byte, byte});
  }
  void add_edges(uint32_t from, uint8_t first, uint8_t last, uint32_t to) {
    edges_.push_back({from, to, first, last});
  }
  uint32_t size() const { return static_cast<uint32_t>(accepts_.size()); }
  // Numbers may change; the new number of each state goes to `renumbered` when given.
  Dfa finish(uint32_t start, std::vector<uint32_t>* renumbered = nullptr) const;

 private:
  struct Edge {
    uint32_t from, to;
    uint8_t first, last;
  };
  std::vector<Edge> edges_;
  std::vector<uint8_t> accepts_ = {0};
};

}  // namespace yunqi
