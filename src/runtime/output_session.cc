// See output_session.h.
#include "runtime/output_session.h"

#include <algorithm>
#include <array>
#include <utility>

namespace yunqi {
namespace {

constexpr std::array<std::string_view, 4> kTags = {kThinkOpen, kThinkClose, "<tool_call>",
                                                   "</tool_call>"};

}  // namespace

std::string_view output_bytes(const Tokenizer& tokenizer, TokenId token, bool skip_special) {
  const std::string_view bytes = tokenizer.token_bytes(token);
  if (!skip_special || !tokenizer.is_special(token)) return bytes;
  return std::find(kTags.begin(), kTags.end(), bytes) != kTags.end() ? bytes : std::string_view();
}

OutputSession::OutputSession(const Tokenizer& tokenizer, OutputOptions options)
    : tokenizer_(&tokenizer),
      skip_special_(options.skip_special),
      parser_(std::move(options.format)) {}

TextDelta OutputSession::push(TokenId token) {
  if (parser_.stopped()) return {};
  using Phase = ThinkingSplitter::Phase;
  const bool was_thinking = parser_.phase() == Phase::kThinking;
  TextDelta delta = parser_.push(output_bytes(*tokenizer_, token, skip_special_));
  if (was_thinking && parser_.phase() == Phase::kThinking) ++reasoning_tokens_;
  return delta;
}

TextDelta OutputSession::finish() { return parser_.finish(); }

}  // namespace yunqi
