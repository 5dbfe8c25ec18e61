// Puts a program together: leaves, rules and shapes, and the networks of rules made of trees. Used
// by the compiler's front ends on one thread; the program is checked and pruned at the end.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "text/grammar_ast.h"
#include "text/grammar_leaves.h"
#include "text/grammar_program.h"

namespace yunqi {

inline constexpr size_t kMaxRuleStates = 20'000;   // of one rule's network
inline constexpr size_t kMaxInlinedNodes = 2'000;  // of a rule that becomes part of an automaton

class GrammarBuilder {
 public:
  explicit GrammarBuilder(LeafFactory& leaves) : leaves_(leaves) {}

  LeafFactory& leaves() { return leaves_; }
  GrammarProgram& program() { return program_; }

  uint32_t add_leaf(const LeafPtr& leaf);
  uint32_t add_rule() {
    program_.rules.emplace_back();
    return static_cast<uint32_t>(program_.rules.size() - 1);
  }
  // A rule that reads exactly this text. Added tokens may spell it.
  Result<uint32_t> literal_rule(std::string_view text);
  // A rule of one leaf.
  uint32_t leaf_rule(const LeafPtr& leaf);
  // Rules of the trees `nodes`, whose kRule nodes are numbers in `nodes`; `names` are for errors.
  // The result has one rule index per tree.
  Result<std::vector<uint32_t>> tree_rules(const std::vector<GrammarNode>& nodes,
                                           const std::vector<std::string>& names);

 private:
  LeafFactory& leaves_;
  GrammarProgram program_;
  std::unordered_map<const GrammarLeaf*, uint32_t> leaf_numbers_;
};

// The empty text taken away from what `dfa` matches.
Dfa without_empty(const Dfa& dfa);

}  // namespace yunqi
