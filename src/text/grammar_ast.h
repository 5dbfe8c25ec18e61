// The one intermediate form of everything that describes text: regexes, EBNF rules, literals and
// the values of a schema become trees of these nodes. Plain values; built by parsers that bound
// their depth, so that walking (and destroying) them by recursion is safe.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace yunqi {

// Code points first..last, both included; never surrogates.
struct CodeRange {
  char32_t first = 0;
  char32_t last = 0;
  bool operator==(const CodeRange&) const = default;
};

struct GrammarNode {
  enum class Kind : uint8_t {
    kSequence,     // children one after the other; without children it matches ""
    kAlternative,  // any one child; without children it matches nothing
    kRepeat,       // the only child, min to max times
    kClass,        // one code point out of `ranges`, as UTF-8
    kLiteral,      // exactly `bytes`
    kRule,         // whatever rule number `rule` matches (EBNF only)
    kStart,        // the start of the text (regex ^)
    kEnd,          // the end of the text (regex $)
  };
  static constexpr uint32_t kUnbounded = UINT32_MAX;

  Kind kind = Kind::kSequence;
  std::vector<GrammarNode> children;
  std::vector<CodeRange> ranges;
  std::string bytes;
  uint32_t rule = 0;
  uint32_t min = 0, max = 0;

  static GrammarNode literal(std::string bytes) {
    GrammarNode node;
    node.kind = Kind::kLiteral;
    node.bytes = std::move(bytes);
    return node;
  }
  static GrammarNode code_class(std::vector<CodeRange> ranges) {
    GrammarNode node;
    node.kind = Kind::kClass;
    node.ranges = std::move(ranges);
    return node;
  }
  static GrammarNode sequence(std::vector<GrammarNode> children) {
    GrammarNode node;
    node.children = std::move(children);
    return node;
  }
  static GrammarNode alternative(std::vector<GrammarNode> children) {
    GrammarNode node;
    node.kind = Kind::kAlternative;
    node.children = std::move(children);
    return node;
  }
  static GrammarNode repeat(GrammarNode child, uint32_t min, uint32_t max) {
    GrammarNode node;
    node.kind = Kind::kRepeat;
    node.children.push_back(std::move(child));
    node.min = min;
    node.max = max;
    return node;
  }
  static GrammarNode of_kind(Kind kind) {
    GrammarNode node;
    node.kind = kind;
    return node;
  }
};

// Sorted, merged, without surrogates and anything beyond U+10FFFF.
std::vector<CodeRange> normal_ranges(std::vector<CodeRange> ranges);
// Every code point that is not in `ranges` (which must be normal).
std::vector<CodeRange> inverse_ranges(const std::vector<CodeRange>& ranges);

}  // namespace yunqi
