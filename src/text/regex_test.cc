// Regular expressions: what matches, what is refused and how, and that hostile ones end quickly.
#include "text/regex.h"

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

namespace yunqi {
namespace {

using testing::HasSubstr;

Dfa full(std::string_view pattern) {
  Result<Dfa> dfa = compile_regex(pattern, Anchoring::kFull);
  EXPECT_TRUE(dfa.is_ok()) << pattern << ": " << dfa.status().to_string();
  return dfa.is_ok() ? *std::move(dfa) : Dfa();
}

Dfa search(std::string_view pattern) { return compile_regex(pattern, Anchoring::kSearch).value(); }

TEST(Regex, MatchesWholeTexts) {
  EXPECT_TRUE(full("a|bc*").matches("bccc"));
  EXPECT_FALSE(full("a|bc*").matches("ac"));
  EXPECT_TRUE(full("(ab){2,3}").matches("ababab"));
  EXPECT_FALSE(full("(ab){2,3}").matches("ab"));
  EXPECT_FALSE(full("(ab){2,3}").matches("abababab"));
  EXPECT_TRUE(full("a{0}").matches(""));
  EXPECT_TRUE(full("[^a-c]").matches("é"));
  EXPECT_FALSE(full("[^a-c]").matches("b"));
  EXPECT_TRUE(full("\\u4e2d\\u{6587}.").matches("中文字"));
  EXPECT_TRUE(full("[\\w-]+").matches("a-b_9"));
  EXPECT_TRUE(full("\\p{L}+").matches("añ中"));
  EXPECT_FALSE(full("\\p{L}+").matches("a1"));
  EXPECT_TRUE(full("x{,2}").matches("x{,2}")) << "a brace that is no quantifier is itself";
  EXPECT_TRUE(full("[]").is_empty());
  EXPECT_FALSE(full(".").matches("\n"));
  EXPECT_FALSE(full("[^x]").matches("\xC3")) << "half a character is none";
}

TEST(Regex, SearchesWithAnchorsAnywhere) {
  EXPECT_TRUE(search("a+").matches("xxaayy"));
  EXPECT_TRUE(search("^a*$").matches("aaa"));
  EXPECT_TRUE(search("^a*$").matches(""));
  EXPECT_FALSE(search("^a*$").matches("aab"));
  EXPECT_TRUE(search("^a|b$").matches("xxb"));
  EXPECT_FALSE(search("^a|b$").matches("xab "));
  EXPECT_TRUE(search("(^|,)x(,|$)").matches("a,x"));
  EXPECT_FALSE(search("(^|,)x(,|$)").matches("a,xy"));
  EXPECT_TRUE(search("$^").matches(""));
  EXPECT_FALSE(search("$^").matches("a"));
  EXPECT_FALSE(search("a^b").matches("ab"));
}

TEST(Regex, RefusesByPlaceAndFeature) {
  const auto said = [](std::string_view pattern) { return parse_regex(pattern).status(); };
  EXPECT_THAT(said("^+x$").message(), HasSubstr("nothing to repeat"));
  EXPECT_THAT(said("^{2}x$").message(), HasSubstr("nothing to repeat"));
  EXPECT_THAT(said("a**").message(), HasSubstr("nothing to repeat"));
  EXPECT_THAT(said("(a").message(), HasSubstr("`(` without `)`"));
  EXPECT_THAT(said("a)").message(), HasSubstr("byte 1"));
  EXPECT_THAT(said("[b-a]").message(), HasSubstr("out of order"));
  EXPECT_THAT(said("a{3,2}").message(), HasSubstr("out of order"));
  EXPECT_EQ(said("(?<=a)b").code(), Code::kUnsupported);
  EXPECT_EQ(said("(a)\\1").code(), Code::kUnsupported);
  EXPECT_EQ(said("\\bword").code(), Code::kUnsupported);
  EXPECT_EQ(said("\\p{Script=Han}").code(), Code::kUnsupported);
  EXPECT_EQ(said("\\q").code(), Code::kInvalidArgument);
  EXPECT_EQ(said("\xFF").code(), Code::kInvalidArgument);
}

TEST(Regex, LimitsAtTheLimitAndBeyond) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '(') + "a" + std::string(depth, ')');
  };
  EXPECT_TRUE(parse_regex(nested(kMaxRegexDepth)).is_ok());
  EXPECT_FALSE(parse_regex(nested(kMaxRegexDepth + 1)).is_ok());
  EXPECT_FALSE(parse_regex(nested(10'000)).is_ok());
  EXPECT_TRUE(parse_regex("a{10000}").is_ok());
  EXPECT_FALSE(parse_regex("a{10001}").is_ok());
  EXPECT_FALSE(parse_regex("a{99999999999999999999}").is_ok());
  EXPECT_TRUE(parse_regex(std::string(kMaxRegexBytes, 'a')).is_ok());
  EXPECT_FALSE(parse_regex(std::string(kMaxRegexBytes + 1, 'a')).is_ok());
}

TEST(Regex, HostilePatternsEndInAnErrorOrQuickly) {
  EXPECT_TRUE(full("(a+)+b").matches("aaaaaaaaaaaaaaaaaaaaaaaab"));
  EXPECT_TRUE(full("(a|a)*").matches("aaaa"));
  EXPECT_TRUE(full("((a*)*)*").matches("aaaa"));
  EXPECT_TRUE(full("(|)*x").matches("x"));
  EXPECT_FALSE(compile_regex("(a|b)*a(a|b){18}", Anchoring::kFull).is_ok());
  EXPECT_FALSE(compile_regex("((((a{10000}){10000}){10000}){10000})", Anchoring::kFull).is_ok());
  EXPECT_FALSE(compile_regex("(((){10000}){10000}){10000}", Anchoring::kFull).is_ok());
  EXPECT_FALSE(compile_regex("[\\p{L}]{9000}", Anchoring::kFull).is_ok());
}

// The reference: a matcher by definition, over the same tree.
bool matches_slowly(const GrammarNode& node, const std::string& text, size_t at,
                    const std::function<bool(size_t)>& rest) {
  switch (node.kind) {
    case GrammarNode::Kind::kSequence: {
      std::function<bool(size_t, size_t)> from = [&](size_t child, size_t place) {
        if (child == node.children.size()) return rest(place);
        return matches_slowly(node.children[child], text, place,
                              [&](size_t next) { return from(child + 1, next); });
      };
      return from(0, at);
    }
    case GrammarNode::Kind::kAlternative:
      for (const GrammarNode& child : node.children) {
        if (matches_slowly(child, text, at, rest)) return true;
      }
      return false;
    case GrammarNode::Kind::kRepeat: {
      std::function<bool(uint32_t, size_t)> from = [&](uint32_t done, size_t place) {
        if (done >= node.min && rest(place)) return true;
        if (done >= node.max || done > 12) return false;
        return matches_slowly(node.children[0], text, place, [&](size_t next) {
          return (next > place || done < node.min) && from(done + 1, next);
        });
      };
      return from(0, at);
    }
    case GrammarNode::Kind::kClass:
      if (at >= text.size()) return false;
      for (const CodeRange& range : node.ranges) {
        const auto c = static_cast<char32_t>(static_cast<unsigned char>(text[at]));
        if (range.first <= c && c <= range.last) return rest(at + 1);
      }
      return false;
    case GrammarNode::Kind::kStart:
      return at == 0 && rest(at);
    case GrammarNode::Kind::kEnd:
      return at == text.size() && rest(at);
    default:
      return false;
  }
}

std::string random_pattern(std::mt19937& random, int depth) {
  std::string out;
  const size_t parts = 1 + random() % 3;
  for (size_t i = 0; i < parts; ++i) {
    switch (random() % (depth > 0 ? 8 : 4)) {
      case 0:
        out += "a";
        break;
      case 1:
        out += "b";
        break;
      case 2:
        out += "[ab]";
        break;
      case 3:
        out += random() % 4 == 0 ? (random() % 2 ? "^" : "$") : "[^a]";
        continue;
      case 4:
        out += "(" + random_pattern(random, depth - 1) + ")";
        break;
      case 5:
        out +=
            "(" + random_pattern(random, depth - 1) + "|" + random_pattern(random, depth - 1) + ")";
        break;
      case 6:
        out += "(" + random_pattern(random, depth - 1) + ")";
        break;
      default:
        out += "(|" + random_pattern(random, depth - 1) + ")";
        break;
    }
    static const char* const kCounts[] = {"", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}"};
    out += kCounts[random() % 9];
  }
  return out;
}

TEST(Regex, AgreesWithTheDefinitionOnRandomPatterns) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const std::string pattern = random_pattern(random, 2);
    const Result<GrammarNode> node = parse_regex(pattern);
    ASSERT_TRUE(node.is_ok()) << pattern;
    const Dfa whole = full(pattern), anywhere = search(pattern);
    for (int i = 0; i < 40; ++i) {
      std::string text;
      for (size_t n = random() % 6; n > 0; --n) text.push_back("abc"[random() % 3]);
      const auto ends = [&](size_t place) { return place == text.size(); };
      EXPECT_EQ(whole.matches(text), matches_slowly(*node, text, 0, ends))
          << pattern << " " << text;
      bool found = false;
      for (size_t at = 0; at <= text.size() && !found; ++at) {
        found = matches_slowly(*node, text, at, [](size_t) { return true; });
      }
      EXPECT_EQ(anywhere.matches(text), found) << pattern << " in " << text;
    }
  }
}

TEST(RegexAutomaton, SetOperations) {
  const Dfa a = full("[ab]*"), b = full(".*b");
  EXPECT_TRUE(combine(a, b, DfaOperation::kIntersect)->matches("aab"));
  EXPECT_FALSE(combine(a, b, DfaOperation::kIntersect)->matches("cb"));
  EXPECT_TRUE(combine(a, b, DfaOperation::kUnite)->matches("cb"));
  EXPECT_TRUE(combine(a, b, DfaOperation::kSubtract)->matches("ba"));
  EXPECT_FALSE(combine(a, b, DfaOperation::kSubtract)->matches("ab"));
  EXPECT_TRUE(combine(a, a, DfaOperation::kSubtract)->is_empty());
  EXPECT_TRUE(complement_text(a)->matches("中"));
  EXPECT_FALSE(complement_text(a)->matches("\x80")) << "only valid UTF-8";
  EXPECT_TRUE(dfa_of_lengths(2, 3)->matches("中文"));
  EXPECT_FALSE(dfa_of_lengths(2, 3)->matches("中"));
}

TEST(RegexAutomaton, ListsFiniteLanguages) {
  EXPECT_THAT(*finite_strings(full("[ab](c|)"), 10), testing::SizeIs(4));
  EXPECT_FALSE(finite_strings(full("[ab](c|)"), 3).has_value());
  EXPECT_FALSE(finite_strings(full("a*"), 1000).has_value());
  const std::vector<std::string> words = {"", "one", "on", "中"};
  EXPECT_THAT(*finite_strings(*dfa_of_strings(words), 4),
              testing::UnorderedElementsAreArray(words));
}

}  // namespace
}  // namespace yunqi
