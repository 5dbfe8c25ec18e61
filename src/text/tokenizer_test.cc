// Ids against the wheel's, added tokens, bytes that are no text, and the look-ups.
#include "text/tokenizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/json.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_fixture.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr EncodeOptions kAdded{.allow_added_tokens = true};

std::vector<TokenId> ids_of(const Json& list) {
  std::vector<TokenId> out;
  for (const Json& id : list.as_array()) out.push_back(static_cast<TokenId>(id.as_int()));
  return out;
}

Status create_status(TokenizerSpec spec) { return Tokenizer::create(std::move(spec)).status(); }

TokenizerSpec with_added(std::vector<AddedToken> added) {
  TokenizerSpec spec = byte_spec();
  spec.added = std::move(added);
  return spec;
}

TEST(Tokenizer, IdsEqualTheWheels) {
  const Json golden = parse_json(golden_text("tokenizer_tiny_ids.json")).value();
  TokenizerSpec newer = tiny_spec();
  newer.pre = PreTokenizer::kQwen35;
  const Tokenizer qwen2 = tiny_tokenizer();
  const Tokenizer qwen35 = Tokenizer::create(std::move(newer)).value();
  for (const Json& one : golden.find("cases")->as_array()) {
    const std::string& text = one.find("text")->as_string();
    const auto list = [&](const char* name, const Json* fallback) {
      const Json* found = one.find(name);
      return found == nullptr ? fallback : found;
    };
    const Json* qwen2_added = one.find("qwen2_added");
    const Json* qwen2_plain = list("qwen2_plain", qwen2_added);
    EXPECT_EQ(qwen2.encode(text, kAdded), ids_of(*qwen2_added)) << text;
    EXPECT_EQ(qwen2.encode(text), ids_of(*qwen2_plain)) << text;
    EXPECT_EQ(qwen35.encode(text, kAdded), ids_of(*list("qwen35_added", qwen2_added))) << text;
    EXPECT_EQ(qwen35.encode(text), ids_of(*list("qwen35_plain", qwen2_plain))) << text;
  }
}

TEST(Tokenizer, UserTextNeverTurnsIntoControlTokens) {
  const Tokenizer tokenizer = tiny_tokenizer();
  for (const AddedToken& token : tokenizer.added_tokens()) {
    EXPECT_THAT(tokenizer.encode(token.text, kAdded), ElementsAre(token.id));
    const auto ids = tokenizer.encode("x" + token.text + "\n");
    for (const TokenId id : ids) EXPECT_FALSE(tokenizer.is_added(id)) << token.text;
    EXPECT_EQ(tokenizer.decode(ids), "x" + token.text + "\n");
  }
}

TEST(Tokenizer, AnyBytesComeBack) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(31);
  size_t invalid = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string bytes = random_bytes(random, below(random, 60));
    if (is_valid_utf8(bytes)) continue;
    ++invalid;
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
  }
  EXPECT_GT(invalid, 2000u);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("e\u0301\xff")), "e\u0301\xff");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("e\u0301")), "\u00e9");
}

TEST(Tokenizer, LooksUpBothWays) {
  const Tokenizer tokenizer =
      Tokenizer::create(with_added({{.id = 300, .text = "<end>", .special = true},
                                    {.id = 302, .text = "<think>"}}))
          .value();
  EXPECT_EQ(tokenizer.size(), 303);
  EXPECT_EQ(tokenizer.find("<end>"), 300);
  EXPECT_EQ(tokenizer.find("a"), 'a');
  EXPECT_EQ(tokenizer.find("<none>"), -1);
  EXPECT_TRUE(tokenizer.is_special(300));
  EXPECT_FALSE(tokenizer.is_special(302));
  EXPECT_TRUE(tokenizer.is_added(302));
  EXPECT_FALSE(tokenizer.is_added('a'));
  EXPECT_EQ(tokenizer.token_bytes(302), "<think>");
  EXPECT_EQ(tokenizer.token_bytes(301), "");
  EXPECT_EQ(tokenizer.token_bytes(-1), "");
  const std::vector<TokenId> ids = {'a', 300, 302, 301, 9999, -5, 'b'};
  EXPECT_EQ(tokenizer.decode(ids), "a<end><think>b");
  EXPECT_EQ(tokenizer.decode(ids, true), "a<think>b");
}

TEST(Tokenizer, TheLongestAddedTokenWinsAtTheLeftmostPlace) {
  const Tokenizer tokenizer = Tokenizer::create(with_added({{.id = 300, .text = "<a"},
                                                            {.id = 301, .text = "<a>"},
                                                            {.id = 302, .text = "a>b>c"}}))
                                  .value();
  EXPECT_THAT(tokenizer.encode("<a><ax<a>b>c", kAdded),
              ElementsAre(301, 300, 'x', 301, 'b', '>', 'c'));
  EXPECT_THAT(tokenizer.encode("a>b>", kAdded), ElementsAre('a', '>', 'b', '>'));
}

TEST(Tokenizer, AddedTokensTakeTheSpaceTheyAskFor) {
  const Tokenizer tokenizer =
      Tokenizer::create(with_added({{.id = 300, .text = "<l>", .lstrip = true},
                                    {.id = 301, .text = "<r>", .rstrip = true}}))
          .value();
  EXPECT_THAT(tokenizer.encode("a \u3000\n<l> b", kAdded), ElementsAre('a', 300, ' ', 'b'));
  EXPECT_THAT(tokenizer.encode("a <r> \u3000\nb", kAdded), ElementsAre('a', ' ', 301, 'b'));
  EXPECT_THAT(tokenizer.encode("<r>  <l>", kAdded), ElementsAre(301, 300));
}

TEST(Tokenizer, NormalizedAddedTokensAreFoundAfterNfc) {
  const Tokenizer tokenizer =
      Tokenizer::create(with_added({{.id = 300, .text = "<\u00e9>", .normalized = true},
                                    {.id = 301, .text = "<\u00e8>"}}))
          .value();
  EXPECT_THAT(tokenizer.encode("<e\u0301>", kAdded), ElementsAre(300));
  EXPECT_EQ(tokenizer.encode("<e\u0300>", kAdded).size(), 4u);
  EXPECT_THAT(tokenizer.encode("<\u00e8>", kAdded), ElementsAre(301));
}

TEST(Tokenizer, WholePiecesFirstSkipsTheMerges) {
  TokenizerSpec spec = byte_spec({"ab", "abc"});
  spec.merges = {{"a", "b"}};
  const Tokenizer merging = Tokenizer::create(spec).value();
  spec.whole_pieces_first = true;
  const Tokenizer whole = Tokenizer::create(spec).value();
  EXPECT_THAT(merging.encode("abc"), ElementsAre(256, 'c'));
  EXPECT_THAT(whole.encode("abc"), ElementsAre(257));
  EXPECT_NE(merging.fingerprint(), whole.fingerprint());
}

TEST(Tokenizer, RefusesBadAddedTokens) {
  const auto message = [](std::vector<AddedToken> added) {
    return create_status(with_added(std::move(added))).to_string();
  };
  EXPECT_THAT(message({{.id = -1, .text = "x"}}), HasSubstr("added token id -1"));
  EXPECT_THAT(message({{.id = kMaxTokens, .text = "xy"}}), HasSubstr("want 0 to 2097151"));
  EXPECT_THAT(message({{.id = 300, .text = ""}}), HasSubstr("want 1 to 1024 bytes"));
  EXPECT_THAT(message({{.id = 65, .text = "xy"}}), HasSubstr("id of another"));
  EXPECT_THAT(message({{.id = 300, .text = "x"}}), HasSubstr("text of vocabulary entry 120"));
  EXPECT_THAT(message({{.id = 300, .text = "xy"}, {.id = 300, .text = "xz"}}), HasSubstr("twice"));
  EXPECT_THAT(message({{.id = 300, .text = "xy"}, {.id = 301, .text = "xy"}}),
              HasSubstr("repeats the text"));
  EXPECT_THAT(message({{.id = 300, .text = "xy", .single_word = true}}), HasSubstr("unsupported"));
  EXPECT_EQ(message({{.id = 'x', .text = "x"}}), "ok");  // an entry that is also added
}

TEST(Tokenizer, LimitsOfAddedTokens) {
  const auto status = [](std::vector<AddedToken> added) {
    return create_status(with_added(std::move(added)));
  };
  EXPECT_TRUE(status({{.id = 300, .text = std::string(kMaxAddedTokenBytes, 'x')}}).is_ok());
  EXPECT_FALSE(status({{.id = 300, .text = std::string(kMaxAddedTokenBytes + 1, 'x')}}).is_ok());
  EXPECT_TRUE(status({{.id = static_cast<TokenId>(kMaxTokens - 1), .text = "xy"}}).is_ok());
  std::vector<AddedToken> many;
  for (size_t i = 0; i < kMaxAddedTokens; ++i) {
    many.push_back({.id = static_cast<TokenId>(300 + i), .text = fmt::format("<{}>", i)});
  }
  EXPECT_TRUE(status(many).is_ok());
  many.push_back({.id = 299, .text = "one more"});
  EXPECT_THAT(status(std::move(many)).message(), HasSubstr("want at most 65536"));
}

TEST(Tokenizer, FingerprintsFollowTheSpec) {
  const std::string tiny = tiny_tokenizer().fingerprint();
  EXPECT_EQ(tiny.size(), 64u);
  EXPECT_EQ(tiny, tiny_tokenizer().fingerprint());
  const auto changed = [&](auto&& change) {
    TokenizerSpec spec = tiny_spec();
    change(spec);
    return Tokenizer::create(std::move(spec)).value().fingerprint();
  };
  EXPECT_NE(tiny, changed([](TokenizerSpec& s) { s.pre = PreTokenizer::kQwen35; }));
  EXPECT_NE(tiny, changed([](TokenizerSpec& s) { s.nfc = false; }));
  EXPECT_NE(tiny, changed([](TokenizerSpec& s) { s.merges.pop_back(); }));
  EXPECT_NE(tiny, changed([](TokenizerSpec& s) { s.added[0].special = false; }));
  EXPECT_NE(tiny, changed([](TokenizerSpec& s) {
              s.tokens.resize(1000);
              s.tokens.back() = "never seen";
            }));
}

TEST(Tokenizer, LongRunsEncodeAndComeBack) {
  const Tokenizer tokenizer = tiny_tokenizer();
  for (const std::string unit : {"a", " ", "\n", "=", "\u4e2d", "\u0301", "<", "ab ", "7"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, kAdded)), text) << unit;
  }
}

}  // namespace
}  // namespace yunqi
