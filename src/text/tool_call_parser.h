// Tool calls out of the answer's bytes, while they stream: text | tool name | arguments, for both
// formats of tool_call.h. One byte at a time, so the result can't depend on how the bytes were cut;
// constant work per byte. Total: what is no call becomes text. Plain value, one thread.
//
// A call is certain ("begun") once its name and the opening of its arguments are there. Before that
// a malformed one is given out as text, tags and all. After that its arguments are a prefix of
// valid JSON; at a byte that can't be mended the call stays incomplete and the rest is text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tool_call.h"
#include "text/tool_call_json.h"

namespace yunqi {

struct ToolCallDelta {
  int32_t index = 0;      // of the call in this choice
  std::string name;       // in the call's first delta only
  std::string arguments;  // JSON text to append
};

// A stretch of output that became final.
struct OutputDelta {
  std::string reasoning;  // inside <think>...</think>
  std::string content;
  std::vector<ToolCallDelta> calls;
};

// Appends whole characters only: bytes that begin one wait; invalid bytes come out as U+FFFD.
class CharacterBuffer {
 public:
  void add(std::string_view bytes, std::string& out);
  void flush(std::string& out);
  bool empty() const { return pending_.empty(); }

 private:
  std::string pending_;  // < 4 bytes between calls
};

class ToolCallParser {
 public:
  // Without tools everything is text.
  explicit ToolCallParser(std::shared_ptr<const ToolSet> tools = nullptr,
                          ToolFormat format = ToolFormat::kNone);
  void push(std::string_view bytes, OutputDelta& out);
  // Gives out what was held back; call once at the end.
  void finish(OutputDelta& out);

  int32_t begun_calls() const { return begun_; }
  int32_t complete_calls() const { return complete_; }
  // No call is open, nor may one be opening.
  bool idle() const { return state_ == State::kText && hold_.empty(); }

 private:
  enum class State {
    kText,       // content
    kBlock,      // after <tool_call>
    kJsonHead,   // {"name": "N", "arguments": {
    kJsonWhole,  // JSON in another order: decided at </tool_call>
    kJsonArguments,
    kJsonTail,      // after the arguments: brackets and </tool_call>
    kJsonExtra,     // more members after the arguments
    kXmlName,       // after <function=
    kXmlBody,       // between parameters
    kXmlParameter,  // after <parameter=
    kXmlValue,
    kXmlTail,  // after </function>
  };
  // What the bytes held in `hold_` are, among some tags.
  struct Held {
    bool prefix = false;
    std::string_view tag;  // complete
  };
  using Tags = std::initializer_list<std::string_view>;

  void step(char byte);
  // Each handles one byte; false: not taken, another state must see it.
  bool on_text(char byte);
  bool on_block(char byte);
  bool on_json_head(char byte);
  bool on_json_whole(char byte);
  bool on_json_arguments(char byte);
  bool on_json_tail(char byte);
  bool on_json_extra(char byte);
  bool on_xml_name(char byte);
  bool on_xml_body(char byte);
  bool on_xml_parameter(char byte);
  bool on_xml_value(char byte);
  bool on_xml_tail(char byte);

  Held hold(char byte, Tags tags);
  void emit_text(std::string_view bytes);
  void emit_arguments(std::string_view bytes);
  void flush_arguments();
  void begin_call(std::string_view name);
  void complete_call();
  void fall_back();  // the call so far is text
  void after_call();
  bool take_whole(std::string_view body);
  void finish_whole();
  void finish_extra();
  void begin_value();
  void add_value(char byte);
  void end_value();
  enum class ValueEnd { kNone, kPrefix, kParameter, kFunction, kNext };
  ValueEnd match_value_end() const;

  std::shared_ptr<const ToolSet> tools_;
  ToolFormat format_;
  State state_ = State::kText;
  OutputDelta* out_ = nullptr;  // during push() and finish()
  CharacterBuffer text_, arguments_;

  std::string hold_;           // may become a tag
  std::string space_;          // kText: white space that a call would swallow
  std::string raw_;            // everything of a call that has not begun
  size_t body_ = 0;            // where its JSON begins in raw_
  bool follows_call_ = false;  // kText: only white space since a call
  bool broken_ = false;        // kText: inside a call that broke

  size_t head_part_ = 0, head_at_ = 0;  // kJsonHead: what is expected
  std::string name_;
  JsonMender mender_;

  std::string parameter_, value_;
  std::vector<std::string> seen_;  // parameters of this call
  bool first_ = true;              // no byte of the value yet
  bool streams_ = false;           // the value is a string, given out as it comes
  bool skip_ = false;              // a parameter given twice: the first stays
  int32_t begun_ = 0, complete_ = 0;
};

}  // namespace yunqi
