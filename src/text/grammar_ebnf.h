// EBNF in the notation of GBNF: rules "name ::= ..." with literals, classes, groups and repeats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/grammar_ast.h"

namespace yunqi {

inline constexpr size_t kMaxEbnfRules = 5'000;

struct EbnfGrammar {
  std::vector<std::string> names;
  std::vector<GrammarNode> rules;  // beside names; kRule nodes are indices here
  size_t root = 0;
};

// Errors name the line. A rule that is used but not defined, defined twice, and a missing "root"
// are errors.
Result<EbnfGrammar> parse_ebnf(std::string_view text);

}  // namespace yunqi
