// Grammars as a whole: what each kind accepts, masks against the matcher, steps taken back, limits.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include <string>

#include "text/grammar_ebnf.h"
#include "text/grammar_fixture.h"
#include "text/json_schema.h"

namespace yunqi {
namespace {

using Kind = GrammarSpec::Kind;

GrammarSpec choice(std::vector<std::string> choices) {
  GrammarSpec spec;
  spec.kind = Kind::kChoice;
  spec.choices = std::move(choices);
  return spec;
}

std::string refusal(const GrammarSpec& spec) {
  const auto grammar = grammar_fixture().compile(spec);
  return grammar.is_ok() ? "compiled" : grammar.status().message();
}

bool says(const GrammarSpec& spec, std::string_view what) {
  const std::string said = refusal(spec);
  if (said.find(what) != std::string::npos) return true;
  ADD_FAILURE() << "said: " << said;
  return false;
}

TEST(Grammar, Regex) {
  const GrammarSpec spec = text_spec(Kind::kRegex, "(ab|c)*d?");
  EXPECT_TRUE(judges(spec, ""));
  EXPECT_TRUE(judges(spec, "abcabd"));
  EXPECT_FALSE(judges(spec, "ba"));
  EXPECT_FALSE(judges(spec, "abdd"));
  EXPECT_TRUE(judges(text_spec(Kind::kRegex, ""), ""));
  EXPECT_TRUE(says(text_spec(Kind::kRegex, "a[]"), "nothing matches"));
  EXPECT_TRUE(says(text_spec(Kind::kRegex, "a("), "regex: "));
}

TEST(Grammar, Choice) {
  EXPECT_TRUE(judges(choice({"yes", "no", "not sure"}), "not sure"));
  EXPECT_TRUE(judges(choice({"yes", "no", "not sure"}), "no"));
  EXPECT_FALSE(judges(choice({"yes", "no", "not sure"}), "not"));
  EXPECT_TRUE(says(choice({}), "want 1 to"));
  EXPECT_TRUE(judges(choice(std::vector<std::string>(kMaxGrammarChoices, "x")), "x"));
  EXPECT_TRUE(says(choice(std::vector<std::string>(kMaxGrammarChoices + 1, "x")), "want 1 to"));
  EXPECT_TRUE(says(choice({std::string(kMaxGrammarBytes + 1, 'x')}), "bytes"));
}

TEST(Grammar, JsonObject) {
  GrammarSpec spec;
  EXPECT_TRUE(
      judges(spec, R"({"a": [1, -2.5e3, "x\n\u00e9中\ud83d\ude00", true, null, {}], "": []})"));
  EXPECT_TRUE(judges(spec, "{\n  \"a\": {\n    \"b\": 1\n  }\n}"));
  EXPECT_FALSE(judges(spec, "[1]"));
  EXPECT_FALSE(judges(spec, R"({"a": 1, "a": 2})")) << "a key comes twice";
  EXPECT_FALSE(judges(spec, R"({"a": 01})"));
  EXPECT_FALSE(judges(spec, R"({"a": "\ud83d"})")) << "half a character";
  EXPECT_FALSE(judges(spec, "{\"a\": \"\n\"}"));
  EXPECT_FALSE(judges(spec, "{   \"a\": 1}")) << "white space is bounded";
  spec.space = JsonSpace::kCompact;
  EXPECT_TRUE(judges(spec, R"({"a":[1,2],"b":{}})"));
  EXPECT_FALSE(judges(spec, R"({"a": 1})"));
}

TEST(Grammar, JsonNestsToALimit) {
  GrammarSpec spec;
  const auto nested = [](size_t depth) {
    std::string text = "{\"a\":";
    for (size_t i = 1; i < depth; ++i) text += '[';
    for (size_t i = 1; i < depth; ++i) text += ']';
    return text + "}";
  };
  EXPECT_TRUE(judges(spec, nested(kMaxJsonNesting), false));
  EXPECT_FALSE(judges(spec, nested(kMaxJsonNesting + 1), false));
}

TEST(Grammar, Ebnf) {
  const GrammarSpec sums = text_spec(Kind::kEbnf, R"g(# sums
root ::= term ([-+] term)*
term ::= number | "(" root ")"
number ::= [0-9]{1,3}
)g");
  EXPECT_TRUE(judges(sums, "1+(22-(3))"));
  EXPECT_FALSE(judges(sums, "1+(22-(3)"));
  EXPECT_FALSE(judges(sums, "1234"));
  const GrammarSpec pairs = text_spec(Kind::kEbnf, "root ::= \"a\" root \"b\" | \"\"");
  EXPECT_TRUE(judges(pairs, ""));
  EXPECT_TRUE(judges(pairs, "aaabbb"));
  EXPECT_FALSE(judges(pairs, "aabbb"));
  const GrammarSpec lists = text_spec(Kind::kEbnf, R"g(root ::= item* "."
item ::= "(" item* ")" | "x"? "y"?
)g");
  EXPECT_TRUE(judges(lists, "(xy(y)())xyy.")) << "loops over what may be empty end";
  EXPECT_TRUE(judges(text_spec(Kind::kEbnf, R"g(root ::= "\u4e2d" [^a-z\n] . "\x41")g"), "中B文A"));
}

TEST(Grammar, EbnfErrorsNameTheirPlace) {
  const auto ebnf = [](std::string text) { return text_spec(Kind::kEbnf, std::move(text)); };
  EXPECT_TRUE(says(ebnf("start ::= \"a\""), "no rule named root"));
  EXPECT_TRUE(says(ebnf("root ::= rott"), "rott is used but not defined"));
  EXPECT_TRUE(says(ebnf("root ::= \"a\"\nroot ::= \"b\""), "line 2"));
  EXPECT_TRUE(says(ebnf("root ::= root \"a\" | \"b\""), "calls itself"));
  EXPECT_TRUE(says(ebnf("root ::= x \"a\" | \"b\"\nx ::= y? root\ny ::= \"c\""), "calls itself"));
  EXPECT_TRUE(says(ebnf("root ::= \"a\" root"), "nothing matches"));
  EXPECT_TRUE(says(ebnf("root ::= (\"a\""), "without `)`"));
  EXPECT_TRUE(says(ebnf("root ::= \"a"), "ends inside quotes"));
  EXPECT_TRUE(says(ebnf("root ::= [z-a]"), "out of order"));
  EXPECT_TRUE(says(ebnf("root ::= \"a\"{99999}"), "10000"));
  EXPECT_TRUE(says(ebnf(""), "no rule named root"));
}

TEST(Grammar, EbnfLimits) {
  const auto nested = [](size_t depth) {
    return text_spec(Kind::kEbnf,
                     "root ::= " + std::string(depth, '(') + "\"a\"" + std::string(depth, ')'));
  };
  EXPECT_EQ(refusal(nested(kMaxGrammarDepth)), "compiled");
  EXPECT_TRUE(says(nested(kMaxGrammarDepth + 1), "nests more than"));
  EXPECT_TRUE(says(nested(60'000), "nests more than"));
  const auto chain = [](size_t rules) {
    std::string text = "root ::= r1 \"x\" root | r1\n";
    for (size_t i = 1; i + 1 < rules; ++i) {
      text += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
    }
    return text_spec(Kind::kEbnf, text + "r" + std::to_string(rules - 1) + " ::= \"a\"\n");
  };
  EXPECT_TRUE(judges(chain(kMaxEbnfRules), "axa", false));
  EXPECT_TRUE(says(chain(kMaxEbnfRules + 1), "rules"));
  EXPECT_TRUE(says(text_spec(Kind::kEbnf, std::string(kMaxGrammarBytes + 1, ' ')), "bytes"));
  // A rule that doubles at each step is not spelled out.
  std::string text = "root ::= r0\n";
  for (int i = 0; i < 60; ++i) {
    text += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " r" +
            std::to_string(i + 1) + "\n";
  }
  EXPECT_NE(refusal(text_spec(Kind::kEbnf, text + "r60 ::= \"a\"?\n")), "");
}

GrammarSpec tool_tags() {
  GrammarSpec spec;
  spec.kind = Kind::kTags;
  GrammarTag tag;
  tag.begin = "<tool_call>{\"n\": ";
  tag.trigger = "<tool_call>";
  tag.content = schema_spec(R"({"type": "integer", "minimum": 1, "maximum": 20})");
  tag.end = "}</tool_call>";
  spec.tags.push_back(tag);
  tag.begin = "<tool_call>{\"s\": ";
  tag.content = schema_spec(R"({"enum": ["x", "y"]})");
  spec.tags.push_back(std::move(tag));
  return spec;
}

TEST(Grammar, TagsInFreeText) {
  GrammarSpec spec = tool_tags();
  EXPECT_TRUE(judges(spec, ""));
  EXPECT_TRUE(judges(spec, "a < b <tool_ca"));
  EXPECT_TRUE(judges(spec, "so <tool_call>{\"n\": 12}</tool_call> and"));
  EXPECT_TRUE(
      judges(spec, "<tool_call>{\"s\": \"y\"}</tool_call><tool_call>{\"n\": 3}</tool_call>"));
  EXPECT_FALSE(judges(spec, "<tool_call>{\"n\": 21}</tool_call>"));
  EXPECT_FALSE(judges(spec, "<tool_call>")) << "a call that began must end";
  spec.min_tags = 1;
  EXPECT_FALSE(judges(spec, "no call"));
  spec.many_tags = false;
  EXPECT_TRUE(judges(spec, "x<tool_call>{\"n\": 1}</tool_call>"));
  EXPECT_FALSE(judges(spec, "x<tool_call>{\"n\": 1}</tool_call> "));
  spec = tool_tags();
  spec.free_text = false;
  spec.separator = "\n";
  spec.min_tags = 1;
  EXPECT_TRUE(
      judges(spec, "<tool_call>{\"n\": 1}</tool_call>\n<tool_call>{\"s\": \"x\"}</tool_call>"));
  EXPECT_FALSE(judges(spec, "a<tool_call>{\"n\": 1}</tool_call>"));
}

TEST(Grammar, AddedTokensSpellTagsButNotStrings) {
  GrammarFixture& fixture = grammar_fixture();
  GrammarMatcher matcher = fixture.matcher(tool_tags());
  EXPECT_TRUE(matcher.accept_bytes("well "));
  EXPECT_TRUE(matcher.accept(fixture.call));
  EXPECT_FALSE(matcher.accept(fixture.call));
  EXPECT_TRUE(matcher.accept_bytes("{\"n\": 7}"));
  TokenMask mask;
  matcher.fill_mask(mask);
  EXPECT_TRUE(mask.test(fixture.call_end));
  EXPECT_FALSE(mask.test(fixture.call));
  EXPECT_TRUE(matcher.accept(fixture.call_end));
  EXPECT_TRUE(matcher.accept(fixture.stop));
  EXPECT_TRUE(matcher.is_finished());
  GrammarMatcher json = fixture.matcher(GrammarSpec());
  EXPECT_TRUE(json.accept_bytes("{\"a\":\""));
  json.fill_mask(mask);
  EXPECT_FALSE(mask.test(fixture.call)) << "no tag inside a string";
  EXPECT_FALSE(json.accept(fixture.call));
  EXPECT_TRUE(json.accept_bytes("x\"}")) << "a refused token changes nothing";
}

TEST(Grammar, TagErrorsNameTheTag) {
  GrammarSpec spec = tool_tags();
  spec.tags[1].content = schema_spec(R"({"type": "strin"})");
  const auto grammar = grammar_fixture().compile(spec);
  ASSERT_FALSE(grammar.is_ok());
  EXPECT_EQ(grammar.status().field(), "tags[1].schema.type");
  spec.tags[1] = spec.tags[0];
  spec.tags[1].trigger = "other";
  EXPECT_TRUE(says(spec, "tags[1]"));
  spec.tags.clear();
  EXPECT_TRUE(says(spec, "want 1 to"));
}

TEST(GrammarMatcher, TakesStepsBack) {
  GrammarFixture& fixture = grammar_fixture();
  GrammarMatcher matcher = fixture.matcher(schema_spec(R"({"type": "object", "properties":
      {"name": {"type": "string"}}, "required": ["name"],
      "additionalProperties": {"type": "integer"}})"));
  const std::string text = R"({"ab": 12, "name": "x"})";
  std::vector<TokenMask> masks(1);
  matcher.fill_mask(masks[0]);
  for (const char c : text) {
    ASSERT_TRUE(matcher.accept_bytes(std::string_view(&c, 1)));
    matcher.fill_mask(masks.emplace_back());
  }
  ASSERT_TRUE(matcher.accept(fixture.stop));
  EXPECT_TRUE(matcher.rollback(1));
  EXPECT_TRUE(matcher.is_complete());
  for (size_t back : {1u, 3u, 5u}) {
    ASSERT_TRUE(matcher.rollback(back));
    masks.resize(masks.size() - back);
    TokenMask mask;
    matcher.fill_mask(mask);
    EXPECT_TRUE(std::equal(mask.words().begin(), mask.words().end(), masks.back().words().begin()));
  }
  ASSERT_TRUE(matcher.accept_bytes(text.substr(masks.size() - 1)));
  EXPECT_TRUE(matcher.is_complete());
  EXPECT_FALSE(matcher.rollback(kMaxRollbackTokens + 1));
}

TEST(GrammarMatcher, CopiesAreIndependent) {
  GrammarMatcher one = grammar_fixture().matcher(choice({"abc", "abd"}));
  ASSERT_TRUE(one.accept_bytes("ab"));
  GrammarMatcher two = one;
  EXPECT_TRUE(one.accept_bytes("c"));
  EXPECT_FALSE(one.accept_bytes("d"));
  EXPECT_TRUE(two.accept_bytes("d"));
  EXPECT_TRUE(two.is_finished());
  two.reset();
  EXPECT_TRUE(two.accept_bytes("abc"));
}

TEST(GrammarMatcher, ForcedBytes) {
  GrammarMatcher matcher = grammar_fixture().matcher(
      schema_spec(R"({"type": "object", "properties": {"name": {"const": "abc"}, "n": {"type":
      "integer"}}, "required": ["name"], "additionalProperties": false})",
                  JsonSpace::kCompact));
  EXPECT_EQ(matcher.forced_bytes(100), "{\"n");
  EXPECT_EQ(matcher.forced_bytes(2), "{\"");
  ASSERT_TRUE(matcher.accept_bytes("{\"na"));
  EXPECT_EQ(matcher.forced_bytes(100), "me\":\"abc\"");
  ASSERT_TRUE(matcher.accept_bytes("me\":\"abc\","));
  EXPECT_EQ(matcher.forced_bytes(100), "\"n\":");
  ASSERT_TRUE(matcher.accept_bytes("\"n\":1}"));
  EXPECT_EQ(matcher.forced_bytes(100), "");
  EXPECT_TRUE(matcher.is_finished());
}

TEST(GrammarCompiler, RemembersTheLatest) {
  GrammarCompiler compiler(grammar_fixture().vocabulary);
  const auto first = compiler.compile(choice({"first"})).value();
  EXPECT_EQ(compiler.compile(choice({"first"})).value(), first);
  for (size_t i = 0; i + 1 < kMaxCachedGrammars; ++i) {
    ASSERT_TRUE(compiler.compile(choice({std::to_string(i)})).is_ok());
  }
  EXPECT_EQ(compiler.compile(choice({"first"})).value(), first);
  for (size_t i = 0; i < kMaxCachedGrammars; ++i) {
    ASSERT_TRUE(compiler.compile(choice({"x" + std::to_string(i)})).is_ok());
  }
  EXPECT_NE(compiler.compile(choice({"first"})).value(), first) << "the cache is bounded";
}

TEST(TokenMask, BitsAndTree) {
  TokenMask mask(70);
  mask.set(0);
  mask.set(69);
  EXPECT_TRUE(mask.test(69));
  EXPECT_FALSE(mask.test(68));
  EXPECT_FALSE(mask.test(-1));
  EXPECT_FALSE(mask.test(70));
  mask.reset(0);
  EXPECT_EQ(mask.count(), 1u);
  const TokenTree tree = TokenTree::of({{"ab", 1}, {"a", 0}, {"abc", 2}, {"b", 3}});
  const auto [first, last] = tree.below("ab");
  EXPECT_EQ(last - first, 2u);
  EXPECT_EQ(tree.nodes[first].token, 1);
  EXPECT_EQ(tree.below("ac").first, tree.below("ac").second);
  EXPECT_FALSE(GrammarVocabulary::create(*grammar_fixture().tokenizer, {-1}).is_ok());
}

}  // namespace
}  // namespace yunqi
