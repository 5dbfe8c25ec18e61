// The parameters of XML calls: their values to JSON, while they stream. See tool_call_parser.h.
#include <algorithm>
#include <utility>

#include "text/tool_call_parser.h"

namespace yunqi {
namespace {

constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kParameterEnd = "</parameter>";
constexpr std::string_view kFunctionEnd = "</function>";
constexpr std::string_view kClose = "</tool_call>";
constexpr size_t kMaxSpaces = 8;  // between a function's and a call's closing tag
constexpr size_t kMaxParameterBytes = 256;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

bool ToolCallParser::on_xml_parameter(char byte) {
  if (byte == '>' && !parameter_.empty()) {
    begin_value();
    return true;
  }
  if (byte == '\n' || byte == '<' || byte == '>' || parameter_.size() >= kMaxParameterBytes) {
    emit_text(kParameter);
    emit_text(parameter_);
    state_ = State::kXmlBody;
    return false;
  }
  parameter_ += byte;
  return true;
}

void ToolCallParser::begin_value() {
  state_ = State::kXmlValue;
  value_.clear();
  first_ = true;
  skip_ = std::find(seen_.begin(), seen_.end(), parameter_) != seen_.end();
  const uint32_t types = tools_->types_of(name_, parameter_);
  streams_ = !skip_ && (types & ~uint32_t{kTypeString}) == 0;
  if (skip_) return;
  std::string key = seen_.empty() ? "" : ", ";
  append_json_string(key, parameter_);
  key += streams_ ? ": \"" : ": ";
  emit_arguments(key);
  seen_.push_back(parameter_);
}

void ToolCallParser::add_value(char byte) {
  // One line break after the opening tag belongs to the format.
  const bool dropped = first_ && byte == '\n';
  first_ = false;
  if (dropped || skip_) return;
  if (!streams_) {
    value_ += byte;
    return;
  }
  std::string escaped;
  append_escaped(escaped, byte);
  emit_arguments(escaped);
}

void ToolCallParser::end_value() {
  hold_.clear();
  if (skip_) return;
  if (streams_) {
    flush_arguments();
    emit_arguments("\"");
  } else {
    emit_arguments(parameter_to_json(value_, tools_->types_of(name_, parameter_)));
  }
}

// What hold_ is: </parameter>; or, when that was forgotten, </function> with </tool_call> behind
// it, or the opening of another parameter that the tool has. A line break before belongs to it.
ToolCallParser::ValueEnd ToolCallParser::match_value_end() const {
  std::string_view rest = hold_;
  const bool new_line = rest.front() == '\n';
  if (new_line) rest.remove_prefix(1);
  if (rest.empty()) return ValueEnd::kPrefix;
  if (rest == kParameterEnd) return ValueEnd::kParameter;
  if (kParameterEnd.starts_with(rest) || kFunctionEnd.starts_with(rest)) return ValueEnd::kPrefix;
  if (rest.starts_with(kFunctionEnd)) {
    rest.remove_prefix(kFunctionEnd.size());
    size_t spaces = 0;
    while (spaces < rest.size() && is_space(rest[spaces])) ++spaces;
    if (spaces > kMaxSpaces) return ValueEnd::kNone;
    rest.remove_prefix(spaces);
    if (rest == kClose) return ValueEnd::kFunction;
    return kClose.starts_with(rest) ? ValueEnd::kPrefix : ValueEnd::kNone;
  }
  if (!new_line) return ValueEnd::kNone;
  if (kParameter.starts_with(rest)) return ValueEnd::kPrefix;
  if (!rest.starts_with(kParameter)) return ValueEnd::kNone;
  rest.remove_prefix(kParameter.size());
  const bool ends = rest.ends_with('>');
  if (ends) rest.remove_suffix(1);
  const bool seen = std::find(seen_.begin(), seen_.end(), rest) != seen_.end();
  if (ends && !seen && tools_->has_parameter(name_, rest)) return ValueEnd::kNext;
  const bool goes_on =
      !ends && rest.size() < kMaxParameterBytes && tools_->has_parameter_prefix(name_, rest);
  return goes_on ? ValueEnd::kPrefix : ValueEnd::kNone;
}

bool ToolCallParser::on_xml_value(char byte) {
  if (hold_.empty() && byte != '\n' && byte != '<') {
    add_value(byte);
    return true;
  }
  hold_ += byte;
  while (!hold_.empty()) {
    const char front = hold_.front();
    const ValueEnd end = front == '\n' || front == '<' ? match_value_end() : ValueEnd::kNone;
    switch (end) {
      case ValueEnd::kPrefix:
        return true;
      case ValueEnd::kNone:
        add_value(front);
        hold_.erase(0, 1);
        break;
      case ValueEnd::kParameter:
        end_value();
        state_ = State::kXmlBody;
        return true;
      case ValueEnd::kFunction:
        end_value();
        emit_arguments("}");
        complete_call();
        after_call();
        return true;
      case ValueEnd::kNext: {
        const size_t name_at = hold_.find('=') + 1;
        std::string next = hold_.substr(name_at, hold_.size() - name_at - 1);
        end_value();
        parameter_ = std::move(next);
        begin_value();
        return true;
      }
    }
  }
  return true;
}

}  // namespace yunqi
