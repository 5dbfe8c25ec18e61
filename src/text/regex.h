// Regular expressions in the subset of ECMA-262 that JSON Schema asks for and that a finite
// automaton can run: no back references, no look-around. Pure functions.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/regex_automaton.h"

namespace yunqi {

inline constexpr size_t kMaxRegexBytes = 64 << 10;
inline constexpr uint32_t kMaxRegexDepth = 100;      // nested groups
inline constexpr uint32_t kMaxRegexRepeat = 10'000;  // in {m,n}

// Understands . | ( ) (?: ) (?<name> ) * + ? {m,n} and their lazy forms, [classes], ^ $,
// \d \w \s and their inverses, \p{L} \p{N} \p{M} (and \P), \t \n \r \f \v \0 \cX \xHH \uHHHH
// \u{H}. Malformed patterns are kInvalidArgument, others' features kUnsupported; both name the
// byte offset.
Result<GrammarNode> parse_regex(std::string_view pattern);

// As parse_regex, then an automaton; it may match nothing at all.
Result<Dfa> compile_regex(std::string_view pattern, Anchoring anchoring);

// One of \d \w \s by its letter; shared with the EBNF reader.
std::vector<CodeRange> regex_class(char letter);

}  // namespace yunqi
