// Chat template source -> tokens. Follows jinja2's observable rules: `-` strips all white space,
// `+` keeps it, a tag alone on a line takes its indentation and its line end with it.
#include "text/jinja_lexer.h"

#include <algorithm>

#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) YQ_RETURN_IF_ERROR(lex_text_and_tag());
    add(TokenKind::kEnd, source_.size(), source_.size());
    return std::move(tokens_);
  }

 private:
  Status fail(size_t offset, std::string_view what) const {
    const SourcePosition at = position_of(source_, offset);
    return error(Code::kBadFile, "chat template line {}, column {}: {}", at.line, at.column, what);
  }

  void add(TokenKind kind, size_t begin, size_t end) {
    const auto passed = source_.substr(counted_, begin - counted_);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    counted_ = begin;
    tokens_.push_back({kind, source_.substr(begin, end - begin), begin, line_});
  }

  bool looking_at(std::string_view what) const { return source_.substr(at_).starts_with(what); }

  size_t skip_space(size_t from) const {
    while (from < source_.size()) {
      const size_t length = space_length(source_.substr(from));
      if (length == 0) break;
      from += length;
    }
    return from;
  }

  // Adds the text [begin, end) before a tag, less what the tag's sign takes away.
  void add_text(size_t begin, size_t end, char sign, bool strips_indentation) {
    std::string_view text = source_.substr(begin, end - begin);
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && strips_indentation) {
      const size_t newline = text.rfind('\n');
      const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line > 0 || line_starting_) && strip_right(text.substr(line)).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) add(TokenKind::kText, begin, begin + text.size());
  }

  // The sign after a tag's opening, or 0; moves past both.
  char take_opening() {
    at_ += 2;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) {
      return source_[at_++];
    }
    return 0;
  }

  // Past a tag's closing mark of `length` bytes at `at_`, and what it swallows.
  void finish_tag(size_t length, char sign, bool trims_newline) {
    at_ += length;
    if (sign == '-') {
      at_ = skip_space(at_);
    } else if (sign != '+' && trims_newline && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_starting_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  Status lex_text_and_tag() {
    const size_t begin = at_;
    size_t tag = source_.find('{', at_);
    while (tag != std::string_view::npos &&
           (tag + 1 >= source_.size() ||
            (source_[tag + 1] != '{' && source_[tag + 1] != '%' && source_[tag + 1] != '#'))) {
      tag = source_.find('{', tag + 1);
    }
    if (tag == std::string_view::npos) {
      add(TokenKind::kText, begin, source_.size());
      at_ = source_.size();
      return Status::ok();
    }
    at_ = tag;
    const char type = source_[tag + 1];
    const char sign = take_opening();
    if (type == '%' && starts_raw()) {
      add_text(begin, tag, sign, true);
      return lex_raw(tag);
    }
    add_text(begin, tag, sign, type != '{');
    if (type == '#') return lex_comment(tag);
    add(type == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, tag, at_);
    return lex_expression(tag, type == '{' ? "}}" : "%}");
  }

  Status lex_comment(size_t tag) {
    size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) return fail(tag, "comment without its end #}");
    const char before = end > at_ ? source_[end - 1] : '\0';
    at_ = end;
    finish_tag(2, before == '-' || before == '+' ? before : '\0', true);
    return Status::ok();
  }

  // Whether the block tag at `at_` (after its sign) is {% raw %}; then moves past it.
  bool starts_raw() {
    size_t at = skip_space(at_);
    if (!source_.substr(at).starts_with("raw")) return false;
    at = skip_space(at + 3);
    if (source_.substr(at).starts_with("-%}")) {
      at_ = skip_space(at + 3);
      return true;
    }
    if (!source_.substr(at).starts_with("%}")) return false;
    at_ = at + 2;
    return true;
  }

  Status lex_raw(size_t tag) {
    line_starting_ = source_[at_ - 1] == '\n';
    const size_t begin = at_;
    for (size_t open = source_.find("{%", at_); open != std::string_view::npos;
         open = source_.find("{%", open + 1)) {
      at_ = open;
      const char sign = take_opening();
      size_t at = skip_space(at_);
      if (!source_.substr(at).starts_with("endraw")) continue;
      at = skip_space(at + 6);
      const char end_sign = at < source_.size() ? source_[at] : '\0';
      const bool has_sign = end_sign == '-' || end_sign == '+';
      if (has_sign) ++at;
      if (!source_.substr(at).starts_with("%}")) continue;
      add_text(begin, open, sign, true);
      at_ = at;
      finish_tag(2, has_sign ? end_sign : '\0', true);
      return Status::ok();
    }
    return fail(tag, "raw block without its {% endraw %}");
  }

  // Tokens up to the tag's end, which does not count inside brackets.
  Status lex_expression(size_t tag, std::string_view end) {
    std::vector<char> brackets;
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= source_.size()) {
        return fail(tag, end == "}}" ? "expression without its end }}" : "tag without its end %}");
      }
      const char c = source_[at_];
      if (brackets.empty()) {
        const bool has_sign =
            (c == '-' || (c == '+' && end == "%}")) && source_.substr(at_ + 1).starts_with(end);
        if (has_sign || looking_at(end)) {
          if (has_sign) ++at_;
          add(end == "}}" ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, at_, at_ + 2);
          finish_tag(2, has_sign ? c : '\0', end == "%}");
          return Status::ok();
        }
      }
      if (is_name_start(c)) {
        lex_name();
      } else if (is_digit(c)) {
        lex_number();
      } else if (c == '\'' || c == '"') {
        YQ_RETURN_IF_ERROR(lex_string(c));
      } else {
        YQ_RETURN_IF_ERROR(lex_operator(brackets));
      }
    }
  }

  void lex_name() {
    const size_t begin = at_;
    while (at_ < source_.size() && is_name_part(source_[at_])) ++at_;
    add(TokenKind::kName, begin, at_);
  }

  // Digits with single underscores between them, from `at`; where they end.
  size_t digits_end(size_t at) const {
    while (at < source_.size()) {
      if (is_digit(source_[at])) {
        ++at;
      } else if (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])) {
        at += 2;
      } else {
        break;
      }
    }
    return at;
  }

  void lex_number() {
    const size_t begin = at_;
    const auto char_at = [this](size_t at) { return at < source_.size() ? source_[at] : '\0'; };
    const char base = static_cast<char>(char_at(begin + 1) | 0x20);
    if (char_at(begin) == '0' && (base == 'x' || base == 'o' || base == 'b')) {
      size_t end = begin + 2;
      while (end < source_.size() && (is_name_part(source_[end]))) ++end;
      at_ = end;
      add(TokenKind::kInteger, begin, end);
      return;
    }
    size_t end = digits_end(begin);
    bool is_float = false;
    // "x.1.2" is two subscripts, not a number with a fraction.
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    if (!after_dot) {
      if (char_at(end) == '.' && is_digit(char_at(end + 1))) {
        end = digits_end(end + 1);
        is_float = true;
      }
      size_t exponent = end + 1;
      if (char_at(exponent) == '+' || char_at(exponent) == '-') ++exponent;
      if ((char_at(end) | 0x20) == 'e' && is_digit(char_at(exponent))) {
        end = digits_end(exponent);
        is_float = true;
      }
    }
    at_ = end;
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, begin, end);
  }

  Status lex_string(char quote) {
    const size_t begin = at_++;
    while (at_ < source_.size() && source_[at_] != quote) at_ += source_[at_] == '\\' ? 2 : 1;
    if (at_ >= source_.size()) return fail(begin, "string without its closing quote");
    ++at_;
    add(TokenKind::kString, begin, at_);
    return Status::ok();
  }

  Status lex_operator(std::vector<char>& brackets) {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view op : kTwo) {
      if (!looking_at(op)) continue;
      add(TokenKind::kOperator, at_, at_ + 2);
      at_ += 2;
      return Status::ok();
    }
    const char c = source_[at_];
    if (kOne.find(c) == std::string_view::npos) {
      return fail(at_, fmt::format("unexpected character '{}' in an expression",
                                   source_.substr(at_, char_length(source_.substr(at_)))));
    }
    if (c == '(' || c == '[' || c == '{') {
      brackets.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) return fail(at_, fmt::format("unexpected '{}'", c));
      if (brackets.back() != c) {
        return fail(at_, fmt::format("want '{}', found '{}'", brackets.back(), c));
      }
      brackets.pop_back();
    }
    add(TokenKind::kOperator, at_, at_ + 1);
    ++at_;
    return Status::ok();
  }

  std::string_view source_;
  size_t at_ = 0;
  bool line_starting_ = true;  // what precedes `at_` ended a line, or nothing precedes it
  std::vector<Token> tokens_;
  size_t counted_ = 0;  // line_ is the line of this byte
  int line_ = 1;
};

}  // namespace

SourcePosition position_of(std::string_view source, size_t offset) {
  const std::string_view before = source.substr(0, std::min(offset, source.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
  return {static_cast<int>(lines) + 1, static_cast<int>(before.size() - line) + 1};
}

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace yunqi::jinja
