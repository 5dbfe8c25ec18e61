// A model's output as thinking | text | tool calls, from bytes as they come. The result is a
// function of the bytes alone: streamed or whole, and however they were cut, it is the same. Stop
// strings end the answer; they are looked for in the answer only, not in the thinking. Linear time;
// nothing of a tag is given out before it is certain to be text. Plain value, one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/stop_matcher.h"
#include "text/thinking_splitter.h"
#include "text/tool_call_parser.h"

namespace yunqi {

struct OutputFormat {
  bool thinking = false;         // the model may write <think>
  bool starts_thinking = false;  // the prompt ended inside <think>
  std::vector<std::string> stop = {};
  bool include_stop = false;
  std::shared_ptr<const ToolSet> tools = {};  // null: calls are not looked for
  ToolFormat tool_format = ToolFormat::kNone;
};

class OutputParser {
 public:
  explicit OutputParser(OutputFormat format);

  OutputDelta push(std::string_view bytes);
  // Gives out what was held back; call once at the end.
  OutputDelta finish();

  // The stop string that ended it, or "".
  std::string stop_string() const { return stops_.matched() ? stops_.match() : std::string(); }
  bool stopped() const { return stops_.matched(); }
  ThinkingSplitter::Phase phase() const { return splitter_.phase(); }
  int32_t begun_calls() const { return calls_.begun_calls(); }
  int32_t complete_calls() const { return calls_.complete_calls(); }

 private:
  void add_thinking(std::string_view bytes, OutputDelta& out);
  void add_thought(std::string_view bytes, OutputDelta& out);
  void end_thinking(bool at_end, OutputDelta& out);
  void add_answer(std::string_view bytes, bool at_end, OutputDelta& out);
  // Whether call_ with its newest byte is still a prefix of calls with white space between.
  bool goes_on_as_call();

  OutputFormat format_;
  ThinkingSplitter splitter_;
  StopMatcher stops_;
  ToolCallParser calls_;

  CharacterBuffer thought_;
  bool thought_begun_ = false;  // leading line breaks of the thought are dropped
  bool thinking_ended_ = false;
  std::string line_breaks_;  // the thought's trailing ones: dropped before the closing tag
  std::string call_;         // in the thought: may be a call that was not preceded by </think>
  enum class CallPart { kOpenTag, kBeforeBody, kFunctionTag, kBody, kAfter };
  CallPart call_part_ = CallPart::kOpenTag;
  size_t tag_begin_ = 0;  // in call_: of the tag that is being read

  std::string held_;       // answer bytes that a stop string may still claim
  size_t held_begin_ = 0;  // offset of held_ in the answer
};

}  // namespace yunqi
