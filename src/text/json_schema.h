// JSON Schema (draft 2020-12) to grammar: the rule of all values that a schema allows, members in
// any order.
#pragma once

#include "base/result.h"
#include "text/grammar.h"
#include "text/grammar_builder.h"

namespace yunqi {

inline constexpr size_t kMaxObjectNames = 256;     // named keys of one object
inline constexpr size_t kMaxPlannedKeys = 20'000;  // of all objects of one schema
inline constexpr size_t kMaxShapeOptions = 64;     // values of one key or position, by what counts
inline constexpr size_t kMaxUniqueValues = 32;     // listed values of a uniqueItems array
inline constexpr size_t kMaxKeyPatterns = 4;       // that overlap in one object

// The number of a rule in `builder`. `spec.schema` is used for kJsonSchema; kJsonObject is any
// object. Errors name the keyword, and its path in field().
Result<uint32_t> json_rule(GrammarBuilder& builder, const GrammarSpec& spec);

}  // namespace yunqi
