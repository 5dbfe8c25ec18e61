// A recursive-descent reader of GBNF with a depth limit; see grammar_ebnf.h.
#include "text/grammar_ebnf.h"

#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "text/grammar.h"
#include "text/regex.h"

namespace yunqi {
namespace {

using Kind = GrammarNode::Kind;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<EbnfGrammar> read() {
    if (text_.size() > kMaxGrammarBytes) {
      return error(Code::kInvalidArgument, "a grammar of {} bytes: at most {} are allowed",
                   text_.size(), kMaxGrammarBytes);
    }
    if (!is_valid_utf8(text_)) return error(Code::kInvalidArgument, "the grammar is not UTF-8");
    for (skip(); at_ < text_.size(); skip()) YQ_RETURN_IF_ERROR(read_rule());
    for (size_t i = 0; i < out_.names.size(); ++i) {
      if (!defined_[i]) {
        return error(Code::kInvalidArgument, "rule {} is used but not defined", out_.names[i]);
      }
    }
    const auto root = std::find(out_.names.begin(), out_.names.end(), "root");
    if (root == out_.names.end()) {
      return error(Code::kInvalidArgument, "the grammar has no rule named root");
    }
    out_.root = static_cast<size_t>(root - out_.names.begin());
    return std::move(out_);
  }

 private:
  Status wrong(std::string_view what) const {
    const auto line =
        std::count(text_.begin(),
                   text_.begin() + static_cast<ptrdiff_t>(std::min(at_, text_.size())), '\n') +
        1;
    return error(Code::kInvalidArgument, "line {} of the grammar: {}", line, what);
  }

  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }

  bool take(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  std::string_view name_here() const {
    size_t end = at_;
    while (end < text_.size() && is_name_char(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  // Whether a name stands here that begins the next rule.
  bool rule_starts_here() {
    const std::string_view name = name_here();
    if (name.empty()) return false;
    const size_t before = at_;
    at_ += name.size();
    skip();
    const bool starts = text_.substr(at_).starts_with("::=");
    at_ = before;
    return starts;
  }

  Result<uint32_t> number_of(std::string_view name) {
    const auto [at, is_new] =
        numbers_.try_emplace(std::string(name), static_cast<uint32_t>(out_.names.size()));
    if (is_new) {
      if (out_.names.size() == kMaxEbnfRules) {
        return error(Code::kInvalidArgument, "the grammar has more than {} rules", kMaxEbnfRules);
      }
      out_.names.emplace_back(name);
      out_.rules.emplace_back();
      defined_.push_back(false);
    }
    return at->second;
  }

  Status read_rule() {
    const std::string_view name = name_here();
    if (name.empty() || !rule_starts_here()) return wrong("expected `name ::=`");
    at_ += name.size();
    skip();
    take("::=");
    YQ_TRY(const uint32_t number, number_of(name));
    if (defined_[number]) return wrong("a rule is defined twice: " + std::string(name));
    defined_[number] = true;
    YQ_TRY(GrammarNode node, alternatives(0));
    skip();
    if (at_ < text_.size() && !rule_starts_here()) return wrong("expected the next rule");
    out_.rules[number] = std::move(node);
    return Status::ok();
  }

  Result<GrammarNode> alternatives(uint32_t depth) {
    if (depth > kMaxGrammarDepth) {
      return error(Code::kInvalidArgument, "the grammar nests more than {} groups",
                   kMaxGrammarDepth);
    }
    std::vector<GrammarNode> choices;
    do {
      std::vector<GrammarNode> parts;
      for (;;) {
        skip();
        if (at_ >= text_.size() || text_[at_] == '|' || text_[at_] == ')') break;
        if (rule_starts_here()) break;
        YQ_TRY(GrammarNode part, item(depth));
        parts.push_back(std::move(part));
      }
      choices.push_back(GrammarNode::sequence(std::move(parts)));
    } while (take("|"));
    if (choices.size() == 1) return std::move(choices[0]);
    return GrammarNode::alternative(std::move(choices));
  }

  Result<GrammarNode> item(uint32_t depth) {
    YQ_TRY(GrammarNode atom, one_atom(depth));
    for (uint32_t suffixes = 0;; ++suffixes) {
      skip();
      uint32_t min = 0, max = GrammarNode::kUnbounded;
      if (take("+")) {
        min = 1;
      } else if (take("?")) {
        max = 1;
      } else if (take("{")) {
        YQ_RETURN_IF_ERROR(counts(min, max));
      } else if (!take("*")) {
        return atom;
      }
      if (suffixes == 8) return wrong("too many repeats of one thing");
      atom = GrammarNode::repeat(std::move(atom), min, max);
    }
  }

  Status counts(uint32_t& min, uint32_t& max) {
    const auto number = [&](uint32_t& value) {
      const size_t first = at_;
      value = 0;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (value <= kMaxRegexRepeat) value = value * 10 + static_cast<uint32_t>(text_[at_] - '0');
      }
      return at_ > first;
    };
    const bool has_min = number(min);
    if (take(",")) {
      max = GrammarNode::kUnbounded;
      number(max);
      if (max == 0 && text_[at_ - 1] == ',') max = GrammarNode::kUnbounded;
    } else if (has_min) {
      max = min;
    } else {
      return wrong("expected a number after `{`");
    }
    if (!take("}")) return wrong("expected `}`");
    if (min > kMaxRegexRepeat || (max != GrammarNode::kUnbounded && max > kMaxRegexRepeat)) {
      return wrong("a repeat of more than 10000 times");
    }
    if (min > max) return wrong("a repeat whose limits are out of order");
    return Status::ok();
  }

  Result<GrammarNode> one_atom(uint32_t depth) {
    const char c = text_[at_];
    if (c == '"') return literal();
    if (c == '[') return bracket_class();
    if (take(".")) return GrammarNode::code_class(inverse_ranges({}));
    if (take("(")) {
      YQ_TRY(GrammarNode inner, alternatives(depth + 1));
      skip();
      if (!take(")")) return wrong("`(` without `)`");
      return inner;
    }
    const std::string_view name = name_here();
    if (name.empty()) return wrong("expected a literal, a class, a group or a rule's name");
    YQ_TRY(const uint32_t number, number_of(name));
    at_ += name.size();
    GrammarNode node = GrammarNode::of_kind(Kind::kRule);
    node.rule = number;
    return node;
  }

  Result<char32_t> one_char() {
    if (at_ >= text_.size()) return wrong("the text ends inside quotes or brackets");
    if (text_[at_] != '\\') {
      const Utf8Char found = decode_utf8(text_.substr(at_));
      at_ += found.length;
      return found.code_point;
    }
    if (at_ + 1 >= text_.size()) return wrong("a lone backslash");
    const char c = text_[at_ + 1];
    at_ += 2;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      static const std::map<char, char32_t> kControls = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
      const auto at = kControls.find(c);
      return at == kControls.end() ? static_cast<char32_t>(static_cast<unsigned char>(c))
                                   : at->second;
    }
    char32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char d = at_ < text_.size() ? text_[at_] : ' ';
      const int digit = d >= '0' && d <= '9'   ? d - '0'
                        : d >= 'a' && d <= 'f' ? d - 'a' + 10
                        : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                               : -1;
      if (digit < 0 || value > 0x10FFFF) return wrong("an escape without its hexadecimal digits");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      return wrong("an escape that is no character");
    }
    return value;
  }

  Result<GrammarNode> literal() {
    ++at_;
    std::string bytes;
    while (!take("\"")) {
      YQ_TRY(const char32_t code, one_char());
      append_utf8(bytes, code);
    }
    return GrammarNode::literal(std::move(bytes));
  }

  Result<GrammarNode> bracket_class() {
    ++at_;
    const bool inverse = take("^");
    std::vector<CodeRange> ranges;
    while (!take("]")) {
      YQ_TRY(const char32_t first, one_char());
      char32_t last = first;
      if (text_.substr(at_).starts_with("-") && !text_.substr(at_).starts_with("-]")) {
        ++at_;
        YQ_TRY(last, one_char());
      }
      if (last < first) return wrong("a range whose ends are out of order");
      ranges.push_back({first, last});
    }
    ranges = normal_ranges(std::move(ranges));
    return GrammarNode::code_class(inverse ? inverse_ranges(ranges) : ranges);
  }

  std::string_view text_;
  size_t at_ = 0;
  EbnfGrammar out_;
  std::vector<bool> defined_;
  std::map<std::string, uint32_t, std::less<>> numbers_;
};

}  // namespace

Result<EbnfGrammar> parse_ebnf(std::string_view text) { return Reader(text).read(); }

}  // namespace yunqi
