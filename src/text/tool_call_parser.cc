// See tool_call_parser.h. The states of both formats; XML values are in tool_call_values.cc.
#include "text/tool_call_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"

namespace yunqi {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr std::string_view kFunction = "<function=";
constexpr std::string_view kFunctionEnd = "</function>";
constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kParameterEnd = "</parameter>";

// What opens a JSON call, white space between the parts; "" is the name.
constexpr std::array<std::string_view, 10> kHead = {"{", "\"name\"",      ":", "\"", "", "\"",
                                                    ",", "\"arguments\"", ":", "{"};
constexpr size_t kHeadName = 4;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

void CharacterBuffer::add(std::string_view bytes, std::string& out) {
  pending_ += bytes;
  const size_t whole = pending_.size() - incomplete_utf8_suffix(pending_);
  if (whole == 0) return;
  out += sanitize_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
}

void CharacterBuffer::flush(std::string& out) {
  out += sanitize_utf8(pending_);
  pending_.clear();
}

ToolCallParser::ToolCallParser(std::shared_ptr<const ToolSet> tools, ToolFormat format)
    : tools_(std::move(tools)), format_(format) {}

void ToolCallParser::push(std::string_view bytes, OutputDelta& out) {
  out_ = &out;
  if (tools_ == nullptr) {
    emit_text(bytes);
  } else {
    for (const char byte : bytes) step(byte);
  }
  out_ = nullptr;
}

void ToolCallParser::step(char byte) {
  bool taken = false;
  while (!taken) {
    switch (state_) {
      case State::kText:
        taken = on_text(byte);
        break;
      case State::kBlock:
        taken = on_block(byte);
        break;
      case State::kJsonHead:
        taken = on_json_head(byte);
        break;
      case State::kJsonWhole:
        taken = on_json_whole(byte);
        break;
      case State::kJsonArguments:
        taken = on_json_arguments(byte);
        break;
      case State::kJsonTail:
        taken = on_json_tail(byte);
        break;
      case State::kJsonExtra:
        taken = on_json_extra(byte);
        break;
      case State::kXmlName:
        taken = on_xml_name(byte);
        break;
      case State::kXmlBody:
        taken = on_xml_body(byte);
        break;
      case State::kXmlParameter:
        taken = on_xml_parameter(byte);
        break;
      case State::kXmlValue:
        taken = on_xml_value(byte);
        break;
      case State::kXmlTail:
        taken = on_xml_tail(byte);
        break;
    }
  }
}

void ToolCallParser::emit_text(std::string_view bytes) { text_.add(bytes, out_->content); }

void ToolCallParser::emit_arguments(std::string_view bytes) {
  if (out_->calls.empty() || out_->calls.back().index != begun_ - 1) {
    out_->calls.push_back({begun_ - 1, {}, {}});
  }
  arguments_.add(bytes, out_->calls.back().arguments);
}

void ToolCallParser::flush_arguments() {
  if (arguments_.empty()) return;
  emit_arguments("");
  arguments_.flush(out_->calls.back().arguments);
}

void ToolCallParser::begin_call(std::string_view name) {
  text_.flush(out_->content);
  out_->calls.push_back({begun_, sanitize_utf8(name), {}});
  ++begun_;
  raw_.clear();
  emit_arguments("{");
}

void ToolCallParser::complete_call() {
  flush_arguments();
  ++complete_;
}

void ToolCallParser::fall_back() {
  emit_text(std::exchange(raw_, {}));
  state_ = State::kText;
  follows_call_ = false;
}

void ToolCallParser::after_call() {
  state_ = State::kText;
  follows_call_ = true;
  broken_ = false;
}

// Adds a byte to hold_ when it goes on with one of the tags; clears hold_ when one is complete.
ToolCallParser::Held ToolCallParser::hold(char byte, Tags tags) {
  hold_ += byte;
  Held held;
  for (const std::string_view tag : tags) {
    if (tag == hold_) held.tag = tag;
    if (tag.starts_with(hold_)) held.prefix = true;
  }
  if (!held.tag.empty()) hold_.clear();
  if (!held.prefix) hold_.pop_back();
  return held;
}

bool ToolCallParser::on_text(char byte) {
  if (hold_.empty() && byte != '<') {
    if (is_space(byte) && !broken_) {
      space_ += byte;
      return true;
    }
    emit_text(std::exchange(space_, {}));
    emit_text({&byte, 1});
    follows_call_ = false;
    return true;
  }
  const bool closes = follows_call_ || broken_;
  const Held held =
      hold(byte, {kOpen, closes ? kClose : kOpen, format_ == ToolFormat::kXml ? kFunction : kOpen});
  if (held.tag == kClose) {
    space_.clear();
    after_call();
  } else if (!held.tag.empty()) {
    raw_ = std::exchange(space_, {});
    raw_ += held.tag;
    broken_ = false;
    name_.clear();
    state_ = held.tag == kOpen ? State::kBlock : State::kXmlName;
  } else if (!held.prefix) {
    emit_text(std::exchange(space_, {}));
    emit_text(std::exchange(hold_, {}));
    follows_call_ = false;
    return false;
  }
  return true;
}

bool ToolCallParser::on_block(char byte) {
  if (hold_.empty() && is_space(byte)) {
    raw_ += byte;
    return true;
  }
  if (hold_.empty() && byte == '{') {
    body_ = raw_.size();
    head_part_ = head_at_ = 0;
    name_.clear();
    state_ = State::kJsonHead;
    return false;
  }
  const Held held = hold(byte, {kFunction, kOpen});
  if (!held.prefix) {
    raw_ += std::exchange(hold_, {});
    fall_back();
    return false;
  }
  raw_ += held.tag;
  if (held.tag == kFunction) {
    name_.clear();
    state_ = State::kXmlName;
  }
  return true;
}

bool ToolCallParser::on_json_head(char byte) {
  const bool between = head_at_ == 0 && head_part_ != kHeadName && head_part_ != kHeadName + 1;
  if (head_part_ == kHeadName && byte == '"' && is_tool_name(name_)) ++head_part_;
  const std::string_view part = kHead[head_part_];
  if (between && is_space(byte)) {
    raw_ += byte;
  } else if (head_part_ == kHeadName) {
    name_ += byte;
    if (!is_tool_name(name_)) {
      state_ = State::kJsonWhole;
      return false;
    }
    raw_ += byte;
  } else if (byte != part[head_at_]) {
    state_ = State::kJsonWhole;
    return false;
  } else {
    raw_ += byte;
    if (++head_at_ == part.size()) {
      head_at_ = 0;
      ++head_part_;
    }
    if (head_part_ == kHead.size()) {
      begin_call(name_);
      mender_ = JsonMender();
      std::string ignored;  // the bracket that begin_call() wrote
      (void)mender_.push('{', ignored);
      state_ = State::kJsonArguments;
    }
  }
  return true;
}

bool ToolCallParser::on_json_whole(char byte) {
  raw_ += byte;
  if (byte == '>' && std::string_view(raw_).substr(body_).ends_with(kClose)) {
    finish_whole();
  }
  return true;
}

// A whole call from JSON in any order; false when it is none.
bool ToolCallParser::take_whole(std::string_view body) {
  const std::optional<std::string> mended = repair_json(body);
  if (!mended.has_value()) return false;
  const Result<Json> call = parse_json(*mended);
  if (!call.is_ok()) return false;
  const Json* name = call->find("name");
  const Json* arguments = call->find("arguments");
  if (arguments == nullptr) arguments = call->find("parameters");
  if (name == nullptr || !name->is_string() || !is_tool_name(name->as_string())) return false;
  std::string text = "{}";
  if (arguments != nullptr && arguments->is_object()) {
    text = arguments->dump();
  } else if (arguments != nullptr && arguments->is_string()) {
    // Arguments as OpenAI writes them: JSON inside a string.
    const std::optional<std::string> inner = repair_json(arguments->as_string());
    if (!inner.has_value() || inner->front() != '{') return false;
    text = *inner;
  } else if (arguments != nullptr && !arguments->is_null()) {
    return false;
  }
  begin_call(name->as_string());
  emit_arguments(std::string_view(text).substr(1));
  complete_call();
  return true;
}

void ToolCallParser::finish_whole() {
  std::string_view body = std::string_view(raw_).substr(body_);
  if (body.ends_with(kClose)) body.remove_suffix(kClose.size());
  const std::string kept(body);
  if (take_whole(kept)) {
    after_call();
  } else {
    fall_back();
  }
}

bool ToolCallParser::on_json_arguments(char byte) {
  // A raw line break is no JSON; with a closing tag behind it the string was never closed.
  static constexpr std::string_view kBrokenEnd = "\n</tool_call>";
  if (mender_.in_string() && (!hold_.empty() || byte == '\n')) {
    hold_ += byte;
    if (hold_ == kBrokenEnd) {
      hold_.clear();
      flush_arguments();
      after_call();
      return true;
    }
    if (kBrokenEnd.starts_with(hold_)) return true;
    hold_.pop_back();
    std::string mended;
    for (const char held : std::exchange(hold_, {})) (void)mender_.push(held, mended);
    if (!mended.empty()) emit_arguments(mended);
    return false;
  }
  std::string mended;
  const JsonMender::State state = mender_.push(byte, mended);
  if (!mended.empty()) emit_arguments(mended);
  if (state == JsonMender::State::kDone) {
    complete_call();
    state_ = State::kJsonTail;
  } else if (state == JsonMender::State::kBroken) {
    flush_arguments();
    emit_text(mender_.held());
    state_ = State::kText;
    broken_ = true;
    return false;
  }
  return true;
}

bool ToolCallParser::on_json_tail(char byte) {
  if (hold_.empty()) {
    if (is_space(byte) || byte == '}' || byte == ']') return true;
    if (byte == ',') {
      raw_ = byte;
      state_ = State::kJsonExtra;
      return true;
    }
  }
  const Held held = hold(byte, {kClose, kOpen});
  if (held.tag == kClose) {
    after_call();
  } else if (held.tag == kOpen) {
    raw_ = kOpen;
    state_ = State::kBlock;
  } else if (!held.prefix) {
    emit_text(std::exchange(hold_, {}));
    after_call();
    return false;
  }
  return true;
}

bool ToolCallParser::on_json_extra(char byte) {
  raw_ += byte;
  if (byte == '>' && raw_.ends_with(kClose)) {
    raw_.resize(raw_.size() - kClose.size());
    finish_extra();
  }
  return true;
}

// Members after the arguments say nothing; anything else is text.
void ToolCallParser::finish_extra() {
  const std::string extra = std::exchange(raw_, {});
  if (!repair_json("{\"\": 0" + extra).has_value()) emit_text(extra);
  after_call();
}

bool ToolCallParser::on_xml_name(char byte) {
  if (byte == '>' && is_tool_name(name_)) {
    seen_.clear();
    begin_call(name_);
    state_ = State::kXmlBody;
    return true;
  }
  name_ += byte;
  if (!is_tool_name(name_)) {
    fall_back();
    return false;
  }
  raw_ += byte;
  return true;
}

bool ToolCallParser::on_xml_body(char byte) {
  if (hold_.empty() && byte != '<') {
    if (!is_space(byte)) emit_text({&byte, 1});
    return true;
  }
  const Held held = hold(byte, {kParameter, kFunctionEnd, kParameterEnd, kClose});
  if (held.tag == kParameter) {
    parameter_.clear();
    state_ = State::kXmlParameter;
  } else if (held.tag == kFunctionEnd || held.tag == kClose) {
    emit_arguments("}");
    complete_call();
    state_ = State::kXmlTail;
    if (held.tag == kClose) after_call();
  } else if (!held.prefix) {
    emit_text(std::exchange(hold_, {}));
    return false;
  }
  return true;
}

bool ToolCallParser::on_xml_tail(char byte) {
  if (hold_.empty() && is_space(byte)) return true;
  const Held held = hold(byte, {kClose, kOpen, kFunction});
  if (held.tag == kClose) {
    after_call();
  } else if (!held.tag.empty()) {
    raw_ = held.tag;
    name_.clear();
    state_ = held.tag == kOpen ? State::kBlock : State::kXmlName;
  } else if (!held.prefix) {
    emit_text(std::exchange(hold_, {}));
    after_call();
    return false;
  }
  return true;
}

void ToolCallParser::finish(OutputDelta& out) {
  out_ = &out;
  switch (state_) {
    case State::kText:
      if (!follows_call_ || !hold_.empty()) emit_text(space_);
      emit_text(hold_);
      break;
    case State::kBlock:
    case State::kXmlName:
      raw_ += hold_;
      fall_back();
      break;
    case State::kJsonHead:
    case State::kJsonWhole:
      finish_whole();
      break;
    case State::kJsonArguments: {
      std::string mended;
      for (const char held : hold_) (void)mender_.push(held, mended);
      if (mender_.held_is_valid_prefix()) mended += mender_.held();
      if (!mended.empty()) emit_arguments(mended);
      break;
    }
    case State::kJsonTail:
    case State::kXmlBody:
    case State::kXmlTail:
      emit_text(hold_);
      break;
    case State::kJsonExtra:
      finish_extra();
      break;
    case State::kXmlParameter:
      break;
    case State::kXmlValue:
      if (hold_.ends_with(kFunctionEnd)) {
        end_value();
        emit_arguments("}");
        complete_call();
      } else {
        for (const char held : std::exchange(hold_, {})) add_value(held);
        // A value that was cut is no value; a string that was cut is a string so far.
      }
      break;
  }
  hold_.clear();
  flush_arguments();
  text_.flush(out.content);
  out_ = nullptr;
}

}  // namespace yunqi
