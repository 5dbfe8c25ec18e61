// Tokens to text on the reader's side: an OutputParser fed with the bytes of tokens, one per
// choice. What ends a sequence is decided on the engine's side by the rules of guards.h, which see
// the same bytes through the same machines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace yunqi {

using TextDelta = OutputDelta;

struct OutputOptions {
  OutputFormat format = {};
  bool skip_special = true;
};

// The bytes that a token adds to the output: none for control tokens, except for the tags that the
// parser reads.
std::string_view output_bytes(const Tokenizer& tokenizer, TokenId token, bool skip_special = true);

class OutputSession {
 public:
  OutputSession(const Tokenizer& tokenizer, OutputOptions options);
  TextDelta push(TokenId token);
  // Flushes what was held back; call once at the end.
  TextDelta finish();
  // The stop string that ended it, or "".
  std::string stop_string() const { return parser_.stop_string(); }
  // Tokens between the thinking tags, without them.
  int64_t reasoning_tokens() const { return reasoning_tokens_; }
  int32_t complete_calls() const { return parser_.complete_calls(); }

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  OutputParser parser_;
  int64_t reasoning_tokens_ = 0;
};

}  // namespace yunqi
