// What each alternative of the regexes takes; the splits are the `tokenizers` wheel's.
#include "text/pretokenizer.h"

#include <gmock/gmock.h>

#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces(std::string_view text, PreTokenizer pre = PreTokenizer::kQwen2) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = find_piece_end(pre, text, at);
    out.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

TEST(Pretokenizer, WordsTakeOneSymbolOrSpaceBeforeThem) {
  EXPECT_THAT(pieces("Hello world"), ElementsAre("Hello", " world"));
  EXPECT_THAT(pieces("(x) .y\u00a0z"), ElementsAre("(x", ")", " .", "y", "\u00a0z"));
  EXPECT_THAT(pieces("a\tb\nc"), ElementsAre("a", "\tb", "\n", "c"));
}

TEST(Pretokenizer, ContractionsAreCaseBlindAndKnowTheLongS) {
  EXPECT_THAT(pieces("it's IT'S"), ElementsAre("it", "'s", " IT", "'S"));
  EXPECT_THAT(pieces("we'Re x'vE y'lL"), ElementsAre("we", "'Re", " x", "'vE", " y", "'lL"));
  EXPECT_THAT(pieces("x'\u017fa"), ElementsAre("x", "'\u017f", "a"));
  EXPECT_THAT(pieces("'sss"), ElementsAre("'s", "ss"));
  EXPECT_THAT(pieces("'r'l'x''s"), ElementsAre("'r", "'l", "'x", "''", "s"));
  EXPECT_THAT(pieces("'"), ElementsAre("'"));
}

TEST(Pretokenizer, NumbersStandAlone) {
  EXPECT_THAT(pieces("a12 3\u0664\u00b2"),
              ElementsAre("a", "1", "2", " ", "3", "\u0664", "\u00b2"));
}

TEST(Pretokenizer, SymbolsTakeASpaceBeforeAndLineEndsAfter) {
  EXPECT_THAT(pieces("a !?\r\n\nb"), ElementsAre("a", " !?\r\n\n", "b"));
  EXPECT_THAT(pieces("  ##"), ElementsAre(" ", " ##"));
}

TEST(Pretokenizer, WhiteSpaceRuns) {
  EXPECT_THAT(pieces("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(pieces("a   "), ElementsAre("a", "   "));
  EXPECT_THAT(pieces("a \n \n  b"), ElementsAre("a", " \n \n", " ", " b"));
  EXPECT_THAT(pieces("a  7"), ElementsAre("a", " ", " ", "7"));
  EXPECT_THAT(pieces("\u3000\u3000\u4e2d"), ElementsAre("\u3000", "\u3000\u4e2d"));
  EXPECT_THAT(pieces("\u0085\u2028 "), ElementsAre("\u0085\u2028 "));
}

TEST(Pretokenizer, MarksJoinLettersOnlyInTheNewerRegex) {
  EXPECT_THAT(pieces("a\u0301b"), ElementsAre("a", "\u0301b"));
  EXPECT_THAT(pieces("a\u0301\u0302b"), ElementsAre("a", "\u0301\u0302", "b"));
  EXPECT_THAT(pieces("a\u0301b \u0301 !\u0301", PreTokenizer::kQwen35),
              ElementsAre("a\u0301b", " \u0301", " !", "\u0301"));
}

TEST(Pretokenizer, InvalidBytesAreSymbols) {
  EXPECT_THAT(pieces("a\xff\xfe b\xe4\xb8"), ElementsAre("a", "\xff\xfe", " b", "\xe4\xb8"));
  EXPECT_THAT(pieces("\xed\xa0\x80x"), ElementsAre("\xed\xa0\x80", "x"));
}

TEST(Pretokenizer, PiecesOfAnyBytesAreTheText) {
  Random random(5);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_bytes(random, below(random, 40));
    for (const PreTokenizer pre : {PreTokenizer::kQwen2, PreTokenizer::kQwen35}) {
      std::string joined;
      for (const std::string& piece : pieces(text, pre)) {
        ASSERT_FALSE(piece.empty());
        joined += piece;
      }
      ASSERT_EQ(joined, text);
    }
  }
}

}  // namespace
}  // namespace yunqi
