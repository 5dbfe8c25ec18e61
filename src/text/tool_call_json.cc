// See tool_call_json.h.
#include "text/tool_call_json.h"

#include <cctype>

#include "base/json.h"
#include "text/tool_call.h"

namespace yunqi {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_scalar_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '+' || c == '.' ||
         c == '_';
}

// A bare word as JSON, or "" when it means nothing.
std::string_view word_to_json(std::string_view word) {
  if (word == "true" || word == "True") return "true";
  if (word == "false" || word == "False") return "false";
  if (word == "null" || word == "None" || word == "NaN") return "null";
  return is_json_number(word) ? word : std::string_view();
}

}  // namespace

bool is_json_number(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > begin;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const size_t integer = at;
  if (!digits() || (text[integer] == '0' && at > integer + 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

bool JsonMender::held_is_valid_prefix() const {
  if (!in_scalar_ || held_.empty()) return false;
  for (const std::string_view word : {"true", "false", "null"}) {
    if (word.starts_with(held_)) return true;
  }
  return is_json_number(held_) || held_ == "-";
}

void JsonMender::end_value() { want_ = Want::kCommaOrEnd; }

JsonMender::State JsonMender::push(char byte, std::string& out) {
  if (quote_ != 0) return push_string(byte, out);
  if (in_scalar_) return push_scalar(byte, out);
  return push_structure(byte, out);
}

JsonMender::State JsonMender::push_string(char byte, std::string& out) {
  if (hex_left_ > 0) {
    if (is_hex(byte)) {
      held_ += byte;
      if (--hex_left_ == 0) {
        out += held_;
        held_.clear();
      }
      return State::kOpen;
    }
    // No such escape: the backslash is text.
    out += '\\';
    out += held_;
    held_.clear();
    hex_left_ = 0;
  } else if (escape_) {
    escape_ = false;
    if (byte == 'u') {
      held_ = "\\u";
      hex_left_ = 4;
      return State::kOpen;
    }
    if (byte == '\'') {
      out += byte;
      return State::kOpen;
    }
    out += '\\';
    if (std::string_view("\"\\/bfnrt").find(byte) != std::string_view::npos) {
      out += byte;
      return State::kOpen;
    }
    out += '\\';  // no such escape: the backslash is text
  }
  if (byte == '\\') {
    escape_ = true;
  } else if (byte == quote_) {
    out += '"';
    quote_ = 0;
    if (is_key_) {
      want_ = Want::kColon;
    } else {
      end_value();
    }
  } else {
    append_escaped(out, byte);
  }
  return State::kOpen;
}

JsonMender::State JsonMender::push_scalar(char byte, std::string& out) {
  if (is_scalar_byte(byte)) {
    if (held_.size() >= kMaxScalarBytes) return State::kBroken;
    held_ += byte;
    return State::kOpen;
  }
  const std::string_view value = word_to_json(held_);
  if (value.empty()) return State::kBroken;
  out += value;
  held_.clear();
  in_scalar_ = false;
  end_value();
  return push_structure(byte, out);
}

JsonMender::State JsonMender::open(char byte, std::string& out) {
  if (brackets_.size() >= kMaxDepth) return State::kBroken;
  out += byte;
  brackets_ += byte;
  want_ = byte == '{' ? Want::kKeyOrEnd : Want::kValueOrEnd;
  return State::kOpen;
}

JsonMender::State JsonMender::close(char byte, std::string& out) {
  if (brackets_.empty() || (byte == '}') != (brackets_.back() == '{')) return State::kBroken;
  held_.clear();  // a trailing comma
  out += byte;
  brackets_.pop_back();
  end_value();
  return brackets_.empty() ? State::kDone : State::kOpen;
}

JsonMender::State JsonMender::push_structure(char byte, std::string& out) {
  if (is_space(byte)) {
    (held_.empty() ? out : held_) += byte;
    return State::kOpen;
  }
  const bool wants_value = want_ == Want::kValue || want_ == Want::kValueOrEnd;
  const bool wants_key = want_ == Want::kKey || want_ == Want::kKeyOrEnd;
  if (byte == '}' || byte == ']') {
    // Behind a held comma a close is fine too: the comma goes.
    const bool after_comma = !held_.empty();
    const bool can_end = want_ == Want::kKeyOrEnd || want_ == Want::kValueOrEnd ||
                         want_ == Want::kCommaOrEnd || after_comma;
    return can_end ? close(byte, out) : State::kBroken;
  }
  if (want_ == Want::kColon) {
    if (byte != ':') return State::kBroken;
    out += byte;
    want_ = Want::kValue;
    return State::kOpen;
  }
  if (want_ == Want::kCommaOrEnd) {
    if (byte != ',' || brackets_.empty()) return State::kBroken;
    held_ = byte;
    want_ = brackets_.back() == '{' ? Want::kKey : Want::kValue;
    return State::kOpen;
  }
  const bool quoted = byte == '"' || byte == '\'';
  const bool opens = (byte == '{' || byte == '[') && wants_value;
  const bool scalar = wants_value && is_scalar_byte(byte) && !brackets_.empty();
  if (!opens && !scalar && !(quoted && !brackets_.empty())) return State::kBroken;
  if (opens && brackets_.size() >= kMaxDepth) return State::kBroken;
  out += held_;
  held_.clear();
  if (opens) return open(byte, out);
  if (quoted) {
    out += '"';
    quote_ = byte;
    is_key_ = wants_key;
    return State::kOpen;
  }
  held_ = byte;
  in_scalar_ = true;
  return State::kOpen;
}

std::optional<std::string> repair_json(std::string_view text) {
  if (Result<Json> exact = parse_json(text); exact.is_ok()) return exact->dump();
  JsonMender mender;
  std::string out;
  bool done = false;
  for (const char byte : text) {
    if (done && !is_space(byte)) return std::nullopt;
    if (done) continue;
    const JsonMender::State state = mender.push(byte, out);
    if (state == JsonMender::State::kBroken) return std::nullopt;
    done = state == JsonMender::State::kDone;
  }
  if (!done) return std::nullopt;
  const Result<Json> value = parse_json(out);
  if (!value.is_ok()) return std::nullopt;
  return value->dump();
}

}  // namespace yunqi
