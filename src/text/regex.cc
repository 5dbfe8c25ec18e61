// A recursive-descent reader of regular expressions with a depth limit; see regex.h.
#include "text/regex.h"

#include <map>

#include "base/utf8.h"
#include "text/unicode.h"

namespace yunqi {
namespace {

using Kind = GrammarNode::Kind;

std::vector<CodeRange> classes_of(std::initializer_list<CharClass> wanted) {
  std::vector<CodeRange> out;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const auto found = static_cast<CharClass>(char_info(c) & kCharClassMask);
    bool hit = false;
    for (const CharClass one : wanted) hit = hit || one == found;
    if (!hit) continue;
    if (!out.empty() && out.back().last + 1 == c) {
      out.back().last = c;
    } else {
      out.push_back({c, c});
    }
  }
  return normal_ranges(std::move(out));
}

// The general categories that the tokenizer's tables know.
const std::vector<CodeRange>* unicode_property(std::string_view name) {
  static const std::vector<CodeRange> letters = classes_of({CharClass::kLetter});
  static const std::vector<CodeRange> numbers = classes_of({CharClass::kNumber});
  static const std::vector<CodeRange> marks = classes_of({CharClass::kMark});
  for (const std::string_view prefix : {"General_Category=", "gc="}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (name == "L" || name == "Letter") return &letters;
  if (name == "N" || name == "Number") return &numbers;
  if (name == "M" || name == "Mark") return &marks;
  return nullptr;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<GrammarNode> read() {
    if (text_.size() > kMaxRegexBytes) {
      return error(Code::kInvalidArgument, "a pattern of {} bytes: at most {} are allowed",
                   text_.size(), kMaxRegexBytes);
    }
    if (!is_valid_utf8(text_)) return error(Code::kInvalidArgument, "the pattern is not UTF-8");
    YQ_TRY(GrammarNode node, alternatives(0));
    if (at_ < text_.size()) return wrong("`)` without `(`");
    return node;
  }

 private:
  Status wrong(std::string_view what) const {
    return error(Code::kInvalidArgument, "the pattern is no regular expression at byte {}: {}", at_,
                 what);
  }
  Status unsupported(std::string_view what) const {
    return error(Code::kUnsupported, "{} at byte {} of the pattern is not supported", what, at_);
  }

  bool at_end() const { return at_ >= text_.size(); }
  bool next_is(std::string_view wanted) const { return text_.substr(at_).starts_with(wanted); }
  bool take(std::string_view wanted) {
    if (!next_is(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  Result<GrammarNode> alternatives(uint32_t depth) {
    if (depth > kMaxRegexDepth) {
      return error(Code::kInvalidArgument, "the pattern nests more than {} groups", kMaxRegexDepth);
    }
    std::vector<GrammarNode> choices;
    do {
      std::vector<GrammarNode> parts;
      while (!at_end() && !next_is("|") && !next_is(")")) {
        YQ_TRY(GrammarNode part, quantified(depth));
        parts.push_back(std::move(part));
      }
      choices.push_back(parts.size() == 1 ? std::move(parts[0])
                                          : GrammarNode::sequence(std::move(parts)));
    } while (take("|"));
    if (choices.size() == 1) return std::move(choices[0]);
    return GrammarNode::alternative(std::move(choices));
  }

  Result<GrammarNode> quantified(uint32_t depth) {
    const bool is_anchor = next_is("^") || next_is("$");
    YQ_TRY(GrammarNode atom, one_atom(depth));
    uint32_t min = 0, max = 0;
    bool repeated = true;
    if (take("*")) {
      max = GrammarNode::kUnbounded;
    } else if (take("+")) {
      min = 1, max = GrammarNode::kUnbounded;
    } else if (take("?")) {
      max = 1;
    } else if (next_is("{")) {
      YQ_RETURN_IF_ERROR(read_counts(min, max, repeated));
    } else {
      repeated = false;
    }
    if (!repeated) return atom;
    if (is_anchor) return wrong("nothing to repeat");
    take("?");  // lazy and greedy match the same texts
    if (next_is("*") || next_is("+") || next_is("?")) return wrong("nothing to repeat");
    return GrammarNode::repeat(std::move(atom), min, max);
  }

  bool read_number(uint32_t& value) {
    const size_t first = at_;
    value = 0;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (value <= kMaxRegexRepeat) value = value * 10 + static_cast<uint32_t>(text_[at_] - '0');
      ++at_;
    }
    return at_ > first;
  }

  // A brace that is no quantifier stands for itself, as in every engine.
  Status read_counts(uint32_t& min, uint32_t& max, bool& repeated) {
    const size_t first = at_;
    ++at_;
    bool good = read_number(min);
    max = min;
    if (good && take(",")) {
      max = GrammarNode::kUnbounded;
      if (!next_is("}")) good = read_number(max);
    }
    if (!good || !take("}")) {
      at_ = first;
      repeated = false;
      return Status::ok();
    }
    if (min > kMaxRegexRepeat || (max != GrammarNode::kUnbounded && max > kMaxRegexRepeat)) {
      return error(Code::kInvalidArgument, "the pattern repeats more than {} times",
                   kMaxRegexRepeat);
    }
    if (min > max) return wrong("a repeat whose limits are out of order");
    return Status::ok();
  }

  Result<GrammarNode> one_atom(uint32_t depth) {
    const char c = text_[at_];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return bracket_class_node();
      case '.':
        ++at_;
        return GrammarNode::code_class(
            inverse_ranges({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
      case '^':
        ++at_;
        return GrammarNode::of_kind(Kind::kStart);
      case '$':
        ++at_;
        return GrammarNode::of_kind(Kind::kEnd);
      case '*':
      case '+':
      case '?':
        return wrong("nothing to repeat");
      case '{': {
        uint32_t min = 0, max = 0;
        bool repeated = true;
        YQ_RETURN_IF_ERROR(read_counts(min, max, repeated));
        if (repeated) return wrong("nothing to repeat");
        ++at_;
        return GrammarNode::code_class({{'{', '{'}});
      }
      case '\\': {
        YQ_TRY(std::vector<CodeRange> ranges, escape(/*in_class=*/false));
        return GrammarNode::code_class(std::move(ranges));
      }
      default: {
        const Utf8Char found = decode_utf8(text_.substr(at_));
        at_ += found.length;
        return GrammarNode::code_class({{found.code_point, found.code_point}});
      }
    }
  }

  Result<GrammarNode> group(uint32_t depth) {
    ++at_;
    if (take("?")) {
      if (next_is("=") || next_is("!")) return unsupported("look-ahead");
      if (next_is("<=") || next_is("<!")) return unsupported("look-behind");
      if (take("<")) {
        const size_t end = text_.find('>', at_);
        if (end == std::string_view::npos || end == at_) return wrong("a group name without `>`");
        at_ = end + 1;
      } else if (!take(":")) {
        return unsupported("this kind of group");
      }
    }
    YQ_TRY(GrammarNode inner, alternatives(depth + 1));
    if (!take(")")) return wrong("`(` without `)`");
    return inner;
  }

  Result<std::vector<CodeRange>> bracket_class() {
    ++at_;
    const bool inverse = take("^");
    std::vector<CodeRange> ranges;
    while (!next_is("]")) {
      if (at_end()) return wrong("`[` without `]`");
      YQ_TRY(std::vector<CodeRange> first, class_item());
      const bool is_range = next_is("-") && !text_.substr(at_).starts_with("-]");
      if (!is_range || at_ + 1 >= text_.size()) {
        ranges.insert(ranges.end(), first.begin(), first.end());
        continue;
      }
      ++at_;
      YQ_TRY(const std::vector<CodeRange> last, class_item());
      const bool single = first.size() == 1 && first[0].first == first[0].last &&
                          last.size() == 1 && last[0].first == last[0].last;
      if (!single) {  // as in [\w-x]: the dash is a dash
        ranges.insert(ranges.end(), first.begin(), first.end());
        ranges.push_back({'-', '-'});
        ranges.insert(ranges.end(), last.begin(), last.end());
        continue;
      }
      if (first[0].first > last[0].first) return wrong("a range whose ends are out of order");
      ranges.push_back({first[0].first, last[0].first});
    }
    ++at_;
    ranges = normal_ranges(std::move(ranges));
    return inverse ? inverse_ranges(ranges) : ranges;
  }

  Result<std::vector<CodeRange>> class_item() {
    if (at_end()) return wrong("`[` without `]`");
    if (text_[at_] == '\\') return escape(/*in_class=*/true);
    const Utf8Char found = decode_utf8(text_.substr(at_));
    at_ += found.length;
    return std::vector<CodeRange>{{found.code_point, found.code_point}};
  }

  Result<std::vector<CodeRange>> escape(bool in_class) {
    if (at_ + 1 >= text_.size()) return wrong("a lone backslash");
    const char c = text_[at_ + 1];
    static const std::map<char, char32_t> kControls = {
        {'t', '\t'}, {'n', '\n'}, {'r', '\r'}, {'f', '\f'}, {'v', '\v'}};
    const auto one = [](char32_t code) { return std::vector<CodeRange>{{code, code}}; };
    if (const auto at = kControls.find(c); at != kControls.end()) {
      at_ += 2;
      return one(at->second);
    }
    if (c == 'b' && in_class) {
      at_ += 2;
      return one('\b');
    }
    if (c == 'b' || c == 'B') return unsupported("\\b");
    if (c >= '1' && c <= '9') return unsupported("a back reference");
    if (c == 'k') return unsupported("a back reference");
    if (c == 'A' || c == 'Z' || c == 'z' || c == 'G') return unsupported("this anchor");
    if (c == 'd' || c == 'w' || c == 's' || c == 'D' || c == 'W' || c == 'S') {
      at_ += 2;
      return regex_class(c);
    }
    if (c == 'p' || c == 'P') return property(c == 'P');
    if (c == 'x' || c == 'u' || c == 'c' || c == '0') return coded(c);
    at_ += 1;
    const Utf8Char found = decode_utf8(text_.substr(at_));
    if (found.code_point < 0x80 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
      return wrong("an unknown escape");
    }
    at_ += found.length;
    return one(found.code_point);
  }

  Result<std::vector<CodeRange>> property(bool inverse) {
    at_ += 2;
    const size_t end = text_.find('}', at_);
    if (!take("{") || end == std::string_view::npos) return wrong("\\p without {name}");
    const std::string_view name = text_.substr(at_, end - at_);
    const std::vector<CodeRange>* found = unicode_property(name);
    if (found == nullptr) {
      return unsupported("a Unicode property other than L, N and M");
    }
    at_ = end + 1;
    return inverse ? inverse_ranges(*found) : *found;
  }

  bool read_hex(size_t digits, char32_t& value) {
    value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      if (at_end()) return false;
      const char c = text_[at_];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return true;
  }

  Result<std::vector<CodeRange>> coded(char kind) {
    at_ += 2;
    char32_t value = 0;
    if (kind == 'c') {
      if (at_end() || !((text_[at_] | 32) >= 'a' && (text_[at_] | 32) <= 'z')) {
        return wrong("\\c without a letter");
      }
      value = static_cast<char32_t>(text_[at_++] & 31);
    } else if (kind == 'x') {
      if (!read_hex(2, value)) return wrong("\\x without two hexadecimal digits");
    } else if (kind == 'u' && take("{")) {
      size_t digits = 0;
      while (at_ + digits < text_.size() && text_[at_ + digits] != '}') ++digits;
      if (digits == 0 || digits > 6 || !read_hex(digits, value) || !take("}")) {
        return wrong("\\u{} without a code point");
      }
    } else if (kind == 'u') {
      if (!read_hex(4, value)) return wrong("\\u without four hexadecimal digits");
      char32_t low = 0;
      if (value >= 0xD800 && value < 0xDC00 && take("\\u")) {
        if (!read_hex(4, low) || low < 0xDC00 || low > 0xDFFF) return wrong("half a character");
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      return wrong("an escape that is no character");
    }
    return std::vector<CodeRange>{{value, value}};
  }

  Result<GrammarNode> bracket_class_node() {
    YQ_TRY(std::vector<CodeRange> ranges, bracket_class());
    return GrammarNode::code_class(std::move(ranges));
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::vector<CodeRange> regex_class(char letter) {
  std::vector<CodeRange> ranges;
  switch (letter | 32) {
    case 'd':
      ranges = {{'0', '9'}};
      break;
    case 'w':
      ranges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
      break;
    default:
      ranges = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  }
  return letter >= 'a' ? ranges : inverse_ranges(ranges);
}

Result<GrammarNode> parse_regex(std::string_view pattern) { return Reader(pattern).read(); }

Result<Dfa> compile_regex(std::string_view pattern, Anchoring anchoring) {
  YQ_TRY(const GrammarNode node, parse_regex(pattern));
  return build_dfa(node, anchoring);
}

}  // namespace yunqi
