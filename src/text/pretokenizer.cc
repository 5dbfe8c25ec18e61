// The two pre-tokeniser regexes as scanners. Comments quote the alternative that each step stands
// for; alternatives are tried in the regex's order, and backtracking is replaced by its outcome.
#include "text/pretokenizer.h"

#include "text/unicode.h"

namespace yunqi {
namespace {

// One character of the text with its class; at the end of the text `length` is 0.
struct Scanned {
  CharClass kind = CharClass::kOther;
  uint32_t length = 0;
};

Scanned scan(std::string_view text, size_t at) {
  if (at >= text.size()) return {};
  const ScannedChar c = scan_char(text, at);
  if (!c.valid) return {CharClass::kOther, 1};
  return {static_cast<CharClass>(char_info(c.code_point) & kCharClassMask), c.length};
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) at an apostrophe: its length, or 0. The regex engine folds U+017F
// (long s) to s; no other letter outside ASCII folds into one of these.
size_t match_contraction(std::string_view text, size_t at) {
  const auto lower = [&](size_t i) {
    return i < text.size() ? static_cast<char>(text[i] | 0x20) : '\0';
  };
  const char first = lower(at + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = lower(at + 2);
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  if (text.substr(at + 1, 2) == "\xC5\xBF") return 3;
  return 0;
}

template <bool kMarksJoinLetters>
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  size_t piece_end(size_t at) const {
    const Scanned c = scan(text_, at);
    const size_t next = at + c.length;
    if (text_[at] == '\'') {
      if (const size_t length = match_contraction(text_, at)) return at + length;
    }
    // [^\r\n\p{L}\p{N}]?\p{L}+ (with marks: [\p{L}\p{M}]+)
    if (is_letter(c.kind)) return skip_letters(next);
    if (c.kind == CharClass::kNumber) return next;  // \p{N}
    const Scanned second = scan(text_, next);
    if (c.kind != CharClass::kNewline && second.length > 0 && is_letter(second.kind)) {
      return skip_letters(next + second.length);
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n]*
    if (is_symbol(c.kind)) return skip_symbols(next);
    if (text_[at] == ' ' && second.length > 0 && is_symbol(second.kind)) {
      return skip_symbols(next + second.length);
    }
    return space_end(at);
  }

 private:
  static bool is_letter(CharClass kind) {
    return kind == CharClass::kLetter || (kMarksJoinLetters && kind == CharClass::kMark);
  }
  static bool is_symbol(CharClass kind) {
    return kind == CharClass::kOther || (!kMarksJoinLetters && kind == CharClass::kMark);
  }

  size_t skip_letters(size_t at) const {
    for (;;) {
      const Scanned c = scan(text_, at);
      if (c.length == 0 || !is_letter(c.kind)) return at;
      at += c.length;
    }
  }

  size_t skip_symbols(size_t at) const {
    for (;;) {
      const Scanned c = scan(text_, at);
      if (c.length == 0 || !is_symbol(c.kind)) break;
      at += c.length;
    }
    while (at < text_.size() && (text_[at] == '\r' || text_[at] == '\n')) ++at;
    return at;
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last line end of the run if it has one; else the run, less
  // its last character when something follows; else that one character.
  size_t space_end(size_t at) const {
    size_t end = at, last_start = at, newline_end = 0;
    for (;;) {
      const Scanned c = scan(text_, end);
      if (c.length == 0 || (c.kind != CharClass::kSpace && c.kind != CharClass::kNewline)) break;
      last_start = end;
      end += c.length;
      if (c.kind == CharClass::kNewline) newline_end = end;
    }
    if (newline_end > 0) return newline_end;
    return end == text_.size() || last_start == at ? end : last_start;
  }

  std::string_view text_;
};

}  // namespace

size_t find_piece_end(PreTokenizer pre, std::string_view text, size_t at) {
  if (pre == PreTokenizer::kQwen35) return Scanner<true>(text).piece_end(at);
  return Scanner<false>(text).piece_end(at);
}

std::string_view pretokenizer_regex(PreTokenizer pre) {
  if (pre == PreTokenizer::kQwen35) {
    return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
           R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  }
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
         R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

}  // namespace yunqi
