// See output_parser.h.
#include "text/output_parser.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr std::string_view kFunction = "<function=";

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

OutputParser::OutputParser(OutputFormat format)
    : format_(std::move(format)),
      splitter_(format_.thinking, format_.starts_thinking),
      stops_(format_.stop),
      calls_(format_.tools, format_.tool_format) {}

OutputDelta OutputParser::push(std::string_view bytes) {
  OutputDelta out;
  if (stopped()) return out;
  std::string thinking, answer;
  splitter_.push(bytes, thinking, answer);
  add_thinking(thinking, out);
  const bool ended = splitter_.phase() == ThinkingSplitter::Phase::kGap ||
                     splitter_.phase() == ThinkingSplitter::Phase::kAnswer;
  if (ended) end_thinking(/*at_end=*/false, out);
  add_answer(answer, /*at_end=*/false, out);
  return out;
}

OutputDelta OutputParser::finish() {
  OutputDelta out;
  std::string thinking, answer;
  if (!stopped()) splitter_.finish(thinking, answer);
  add_thinking(thinking, out);
  if (!thinking_ended_) end_thinking(/*at_end=*/true, out);
  add_answer(answer, /*at_end=*/true, out);
  calls_.finish(out);
  return out;
}

// A call inside the thought is the model musing about one, unless the output ends right after it:
// then the thinking was never closed. So it waits until either is certain.
void OutputParser::add_thinking(std::string_view bytes, OutputDelta& out) {
  if (format_.tools == nullptr) {
    add_thought(bytes, out);
    return;
  }
  for (const char byte : bytes) {
    if (call_.empty() && byte != '<') {
      add_thought({&byte, 1}, out);
      continue;
    }
    call_ += byte;
    if (goes_on_as_call()) continue;
    call_.pop_back();
    add_thought(std::exchange(call_, {}), out);
    if (byte == '<') {
      call_ = byte;
      (void)goes_on_as_call();
    } else {
      add_thought({&byte, 1}, out);
    }
  }
}

bool OutputParser::goes_on_as_call() {
  const char byte = call_.back();
  const size_t last = call_.size() - 1;
  const auto tag = [&] { return std::string_view(call_).substr(tag_begin_); };
  if (last == 0) {
    call_part_ = CallPart::kOpenTag;
    tag_begin_ = 0;
  }
  switch (call_part_) {
    case CallPart::kAfter:  // after a closing tag only white space or another call may come
      if (is_space(byte)) return true;
      tag_begin_ = last;
      call_part_ = CallPart::kOpenTag;
      return byte == '<';
    case CallPart::kOpenTag:
      if (tag() == kOpen) call_part_ = CallPart::kBeforeBody;
      return kOpen.starts_with(tag());
    case CallPart::kBeforeBody:
      if (is_space(byte)) return true;
      tag_begin_ = last;
      call_part_ = byte == '{' ? CallPart::kBody : CallPart::kFunctionTag;
      return byte == '{' || byte == '<';
    case CallPart::kFunctionTag:
      if (tag() == kFunction) call_part_ = CallPart::kBody;
      return kFunction.starts_with(tag());
    case CallPart::kBody:
      if (byte == '>' && std::string_view(call_).ends_with(kClose)) call_part_ = CallPart::kAfter;
      return true;
  }
  return false;
}

void OutputParser::add_thought(std::string_view bytes, OutputDelta& out) {
  std::string text;
  thought_.add(bytes, text);
  if (!thought_begun_) {
    const size_t start = text.find_first_not_of('\n');
    if (start == std::string::npos) return;
    text.erase(0, start);
    thought_begun_ = true;
  }
  const size_t last = text.find_last_not_of('\n');
  if (last == std::string::npos) {
    line_breaks_ += text;
    return;
  }
  out.reasoning += line_breaks_;
  out.reasoning.append(text, 0, last + 1);
  line_breaks_ = text.substr(last + 1);
}

void OutputParser::end_thinking(bool at_end, OutputDelta& out) {
  if (thinking_ended_) return;
  thinking_ended_ = true;
  if (at_end && call_.size() > kOpen.size()) {
    ToolCallParser tail(format_.tools, format_.tool_format);
    OutputDelta ignored;
    tail.push(call_, ignored);
    tail.finish(ignored);
    if (tail.complete_calls() > 0 && ignored.content.empty()) {
      calls_.push(std::exchange(call_, {}), out);
    }
  }
  add_thought(std::exchange(call_, {}), out);
  std::string rest;
  thought_.flush(rest);
  if (!rest.empty()) out.reasoning += std::exchange(line_breaks_, {}) + rest;
  // An unclosed thought keeps its line breaks: nothing of the output is lost.
  if (at_end) out.reasoning += line_breaks_;
  line_breaks_.clear();
}

void OutputParser::add_answer(std::string_view bytes, bool at_end, OutputDelta& out) {
  stops_.push(bytes);
  held_ += bytes;
  size_t end = held_begin_ + held_.size();
  if (stops_.matched()) {
    end = std::min(end, format_.include_stop ? stops_.match_end() : stops_.match_begin());
  } else if (!at_end) {
    end = std::min(end, stops_.safe_end());
  }
  const size_t count = end > held_begin_ ? end - held_begin_ : 0;
  calls_.push(std::string_view(held_).substr(0, count), out);
  held_.erase(0, stops_.matched() ? held_.size() : count);
  held_begin_ += count;
}

}  // namespace yunqi
