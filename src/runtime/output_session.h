// Tokens to text: stop strings, whole UTF-8 characters only, thinking told apart from the answer.
// One OutputSession per choice on the reader's side; StopGuard is the same stop rule on the engine
// thread, so that both cut at the same byte.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "text/tokenizer.h"

namespace yunqi {

// Finds the first occurrence of any stop string in a growing byte stream. Earliest end wins, then
// the longest.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);
  // Appends bytes. True once a stop string is complete; further pushes are ignored.
  bool push(std::string_view bytes);
  bool matched() const { return match_end_ != kNone; }
  size_t match_begin() const { return match_begin_; }  // offsets into everything pushed
  size_t match_end() const { return match_end_; }
  const std::string& match() const { return stops_[match_index_]; }
  // Bytes pushed so far that can no longer become part of a stop string.
  size_t safe_end() const;

 private:
  static constexpr size_t kNone = ~size_t{0};
  std::vector<std::string> stops_;
  std::string tail_;  // the last longest-1 bytes
  size_t pushed_ = 0;
  size_t match_begin_ = kNone, match_end_ = kNone, match_index_ = 0;
};

// The engine-side twin: ends the sequence at the token that completes a stop string.
std::unique_ptr<TokenGuard> make_stop_guard(const Tokenizer& tokenizer,
                                            std::vector<std::string> stops);

// A stretch of output that became final.
struct TextDelta {
  std::string reasoning;  // inside <think>...</think>
  std::string content;
};

struct OutputOptions {
  std::vector<std::string> stop;
  bool include_stop = false;
  bool skip_special = true;
  // Ids of the thinking tags, or -1: output is not split then.
  TokenId think_open = -1, think_close = -1;
  bool starts_thinking = false;  // the prompt ended inside <think>
};

class OutputSession {
 public:
  OutputSession(const Tokenizer& tokenizer, OutputOptions options);
  TextDelta push(TokenId token);
  // Flushes what was held back; call once at the end.
  TextDelta finish();
  // The stop string that ended it, or "".
  std::string stop_string() const;
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  enum class State { kMaybeThinking, kThinking, kAnswer };
  // Takes what is final out of held_: whole characters that no stop string can claim any more.
  std::string release(bool at_end);
  TextDelta route(std::string text);

  const Tokenizer* tokenizer_;
  OutputOptions options_;
  StopMatcher matcher_;
  State state_;
  std::string held_;            // raw bytes, not yet given out
  size_t held_begin_ = 0;       // offset of held_ in everything pushed to matcher_
  std::string line_breaks_;     // reasoning's trailing ones: dropped before the closing tag
  bool strip_leading_ = false;  // swallow line breaks after a thinking tag
  int64_t reasoning_tokens_ = 0;
};

}  // namespace yunqi
