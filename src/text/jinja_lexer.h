// Chat template source -> tokens, with jinja2's rules for white space around tags under
// trim_blocks and lstrip_blocks. Tokens point into the source, which must outlive them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace yunqi::jinja {

enum class TokenKind : uint8_t {
  kText,           // template text, white space control applied
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // with its quotes and escapes
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;
  size_t offset = 0;
  int line = 0;  // from 1
};

// Line and column, both from 1, of a byte of the source.
struct SourcePosition {
  int line, column;
};
SourcePosition position_of(std::string_view source, size_t offset);

// The source with \r\n and \r as \n and without one final newline, as jinja2 reads it.
std::string normalize_newlines(std::string_view source);

// The last token is kEnd. `source` is normalised and valid UTF-8.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace yunqi::jinja
