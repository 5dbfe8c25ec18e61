// Tokenizer files that are well made, and each way of being badly made with the error it gets.
#include <gmock/gmock.h>

#include <functional>

#include "base/json.h"
#include "text/bpe.h"
#include "text/bpe_alphabet.h"
#include "text/tokenizer.h"
#include "text/tokenizer_fixture.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {
namespace {

using testing::HasSubstr;

Json tiny_json() { return parse_json(golden_text("tokenizer_tiny.json")).value(); }

// The error of the tiny tokenizer.json after `change`.
std::string json_error(const std::function<void(Json&)>& change) {
  Json file = tiny_json();
  change(file);
  return parse_tokenizer_json(file.dump()).status().to_string();
}

Json& member(Json& json, std::string_view key) { return *json.find(key); }

TEST(TokenizerJson, RefusesWrongTypesByPath) {
  EXPECT_THAT(parse_tokenizer_json("[]").status().to_string(),
              HasSubstr("bad_file: tokenizer.json: want an object, found array"));
  EXPECT_THAT(parse_tokenizer_json("{").status().to_string(), HasSubstr("bad_file"));
  EXPECT_THAT(json_error([](Json& f) { f.set("model", 7); }),
              HasSubstr("model: want an object, found integer"));
  EXPECT_THAT(json_error([](Json& f) { member(f, "model").set("vocab", Json::array()); }),
              HasSubstr("model.vocab: want an object, found array"));
  EXPECT_THAT(json_error([](Json& f) { member(f, "model").set("merges", "x"); }),
              HasSubstr("model.merges: want an array, found string"));
  EXPECT_THAT(json_error([](Json& f) { f.set("added_tokens", 1); }),
              HasSubstr("added_tokens: want an array"));
  EXPECT_THAT(json_error([](Json& f) { f.set("added_tokens", Json::array({1})); }),
              HasSubstr("added_tokens[0].id: want an integer, found nothing"));
  EXPECT_THAT(json_error([](Json& f) { member(f, "model").set("ignore_merges", "yes"); }),
              HasSubstr("model.ignore_merges: want true or false, found string"));
}

TEST(TokenizerJson, RefusesBadVocabularies) {
  const auto with_entry = [](std::string_view name, Json id) {
    return json_error([&](Json& f) { member(member(f, "model"), "vocab").set(name, id); });
  };
  EXPECT_THAT(with_entry("qqq", 5), HasSubstr("model.vocab[\"qqq\"]: id 5 is taken"));
  EXPECT_THAT(with_entry("qqq", -1), HasSubstr("want an id from 0 to 2097151, found -1"));
  EXPECT_THAT(with_entry("qqq", int64_t{kMaxTokens}), HasSubstr("want an id from 0"));
  EXPECT_THAT(with_entry("qqq", "5"), HasSubstr("found string"));
  EXPECT_THAT(with_entry("q q", 5000), HasSubstr("letters of the byte alphabet"));
  EXPECT_THAT(with_entry("", 5000), HasSubstr("letters of the byte alphabet"));
  EXPECT_EQ(with_entry("qqq", int64_t{kMaxTokens - 1}), "ok");  // gaps are unused ids
}

TEST(TokenizerJson, RefusesBadMerges) {
  const auto with_merges = [](Json merges) {
    return json_error([&](Json& f) { member(f, "model").set("merges", merges); });
  };
  EXPECT_EQ(with_merges(Json::array({"a b", Json::array({"a", "c"})})), "ok");
  for (const Json& bad :
       {Json("ab"), Json("a b c"), Json(" b"), Json("a "), Json(4), Json::array({"a"}),
        Json::array({"a", "b", "c"}), Json::array({"a", 1})}) {
    EXPECT_THAT(with_merges(Json::array({"a b", bad})), HasSubstr("model.merges[1]")) << bad.dump();
  }
}

TEST(TokenizerJson, RefusesWhatItDoesNotDo) {
  const auto in_model = [](std::string_view key, Json value) {
    return json_error([&](Json& f) { member(f, "model").set(key, value); });
  };
  EXPECT_THAT(in_model("type", "Unigram"), HasSubstr("unsupported: model.type: want \"BPE\""));
  EXPECT_THAT(in_model("byte_fallback", true), HasSubstr("model.byte_fallback"));
  EXPECT_THAT(in_model("end_of_word_suffix", "</w>"), HasSubstr("model.end_of_word_suffix"));
  EXPECT_THAT(in_model("dropout", 0.1), HasSubstr("model.dropout"));
  EXPECT_THAT(json_error([](Json& f) {
                f.set("normalizer", Json::object({{"type", "NFKC"}}));
              }),
              HasSubstr("normalizer.type: want \"NFC\""));
  EXPECT_THAT(json_error([](Json& f) { f.set("pre_tokenizer", nullptr); }),
              HasSubstr("unsupported: pre_tokenizer"));
  const auto in_split = [](std::string_view key, Json value) {
    return json_error([&](Json& f) {
      member(member(f, "pre_tokenizer"), "pretokenizers").as_array()[0].set(key, value);
    });
  };
  EXPECT_THAT(in_split("pattern", Json::object({{"Regex", "\\w+"}})),
              HasSubstr("pre_tokenizer.pretokenizers[0].pattern.Regex"));
  EXPECT_THAT(in_split("behavior", "Removed"), HasSubstr("want behavior \"Isolated\""));
  EXPECT_THAT(in_split("type", "Digits"), HasSubstr("want \"Split\", found \"Digits\""));
}

TEST(TokenizerJson, NoNormalizerMeansNoNfc) {
  Json file = tiny_json();
  file.set("normalizer", nullptr);
  EXPECT_FALSE(parse_tokenizer_json(file.dump()).value().nfc);
  EXPECT_TRUE(tiny_spec().nfc);
}

// The tiny tokenizer as vocab.json, merges.txt and tokenizer_config.json.
TEST(VocabAndMerges, EqualTokenizerJson) {
  const Json file = tiny_json();
  const Json& model = *file.find("model");
  std::string merges = "#version: 0.2\n";
  for (const Json& pair : model.find("merges")->as_array()) {
    merges += pair.as_array()[0].as_string() + " " + pair.as_array()[1].as_string() + "\r\n";
  }
  Json decoder = Json::object();
  for (const Json& token : file.find("added_tokens")->as_array()) {
    decoder.set(token.find("id")->dump(), token);
  }
  const Json config = Json::object({{"added_tokens_decoder", decoder}});
  const std::string vocab = model.find("vocab")->dump();
  auto spec = parse_vocab_and_merges(vocab, merges, config.dump());
  ASSERT_TRUE(spec.is_ok()) << spec.status().to_string();
  EXPECT_EQ(Tokenizer::create(std::move(spec).value()).value().fingerprint(),
            tiny_tokenizer().fingerprint());

  EXPECT_TRUE(parse_vocab_and_merges(vocab, merges, "").value().added.empty());
  EXPECT_THAT(parse_vocab_and_merges(vocab, "a b\nbad\n", "").status().message(),
              HasSubstr("merges.txt line 2"));
  EXPECT_THAT(parse_vocab_and_merges(vocab, merges, R"({"added_tokens_decoder":{"x":{}}})")
                  .status()
                  .message(),
              HasSubstr("added_tokens_decoder[\"x\"]: want a decimal id"));
  EXPECT_THAT(parse_vocab_and_merges("[]", merges, "").status().message(), HasSubstr("vocab.json"));
}

// GGUF's three arrays made from a spec.
struct GgufArrays {
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;

  explicit GgufArrays(const TokenizerSpec& spec) {
    for (const std::string& token : spec.tokens) {
      tokens.push_back(encode_byte_alphabet(token));
      types.push_back(1);
    }
    for (const AddedToken& token : spec.added) {
      tokens.resize(std::max(tokens.size(), static_cast<size_t>(token.id) + 1));
      types.resize(tokens.size(), 5);
      tokens[static_cast<size_t>(token.id)] = token.text;
      types[static_cast<size_t>(token.id)] = token.special ? 3 : 4;
    }
    for (const auto& [left, right] : spec.merges) {
      merges.push_back(encode_byte_alphabet(left) + " " + encode_byte_alphabet(right));
    }
  }

  Result<TokenizerSpec> parse(std::string_view pre = "qwen2") const {
    const std::vector<std::string_view> token_views(tokens.begin(), tokens.end());
    const std::vector<std::string_view> merge_views(merges.begin(), merges.end());
    return spec_from_gguf(token_views, types, merge_views, pre);
  }
  std::string error(std::string_view pre = "qwen2") const { return parse(pre).status().message(); }
};

TEST(GgufTokenizer, EqualsTokenizerJson) {
  GgufArrays arrays(tiny_spec());
  auto spec = arrays.parse();
  ASSERT_TRUE(spec.is_ok()) << spec.status().to_string();
  EXPECT_EQ(arrays.parse("qwen35").value().pre, PreTokenizer::kQwen35);
  arrays.tokens.push_back("[PAD700]");  // padding rows have a type of their own
  arrays.types.push_back(5);
  const Tokenizer padded = Tokenizer::create(arrays.parse().value()).value();
  const Tokenizer tiny = tiny_tokenizer();
  EXPECT_EQ(padded.size(), tiny.size());
  EXPECT_EQ(padded.find("[PAD700]"), -1);
  const std::string text = "The scheduler <|im_start|>doesn't \u4e2d\u6587\n";
  EXPECT_EQ(padded.encode(text, {.allow_added_tokens = true}),
            tiny.encode(text, {.allow_added_tokens = true}));
}

TEST(GgufTokenizer, ByteTokensAreExactlyTwoHexDigits) {
  GgufArrays arrays(byte_spec());
  arrays.types[10] = 6;
  arrays.tokens[10] = "<0x0a>";
  EXPECT_EQ(arrays.parse().value().tokens[10], "\n");
  for (const char* bad : {"<0x-1>", "<0xZZ>", "<0x>", "<0x0A", "<0x0AA>", "", "x", "<0x 1>"}) {
    arrays.tokens[10] = bad;
    EXPECT_THAT(arrays.error(), HasSubstr("tokens[10]: want a byte token")) << bad;
  }
}

TEST(GgufTokenizer, RefusesBadArrays) {
  GgufArrays arrays(tiny_spec());
  EXPECT_THAT(arrays.error("llama-bpe"), HasSubstr("found \"llama-bpe\""));
  auto bad = arrays;
  bad.types.pop_back();
  EXPECT_THAT(bad.error(), HasSubstr("tokenizer.ggml.token_type: want"));
  bad = arrays;
  bad.types[3] = 7;
  EXPECT_THAT(bad.error(), HasSubstr("token_type[3]: want 1 to 6, found 7"));
  bad = arrays;
  bad.tokens[3] = "a b";
  EXPECT_THAT(bad.error(), HasSubstr("tokens[3]"));
  for (const char* merge : {"ab", "a  b", " b", "a ", "a b c", "", "a\x01 b"}) {
    bad = arrays;
    bad.merges[2] = merge;
    EXPECT_THAT(bad.error(), HasSubstr("merges[2]")) << merge;
  }
  bad = arrays;
  bad.tokens[20] = bad.tokens[21];
  EXPECT_THAT(Tokenizer::create(bad.parse().value()).status().message(),
              HasSubstr("tokens 20 and 21 have the same bytes"));
}

TEST(GgufTokenizer, Limits) {
  const std::vector<std::string_view> merges(kMaxMerges + 1, "!");
  const auto error_of = [&](size_t tokens, size_t merge_count) {
    const std::vector<std::string_view> views(tokens, "a");
    const std::vector<int32_t> types(tokens, 7);
    return spec_from_gguf(views, types, std::span(merges).first(merge_count), "qwen2")
        .status()
        .message();
  };
  EXPECT_THAT(error_of(kMaxTokens, 0), HasSubstr("token_type[0]"));
  EXPECT_THAT(error_of(kMaxTokens + 1, 0), HasSubstr("tokens: want at most"));
  EXPECT_THAT(error_of(0, kMaxMerges), HasSubstr("merges[0]"));
  EXPECT_THAT(error_of(0, kMaxMerges + 1), HasSubstr("merges: want at most"));
}

TEST(ByteAlphabet, EveryByteBothWays) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(decode_byte_alphabet(encode_byte_alphabet(all)), all);
  EXPECT_EQ(encode_byte_alphabet(" \n"), "\u0120\u010a");
  EXPECT_EQ(decode_byte_alphabet(" "), std::nullopt);
  EXPECT_EQ(decode_byte_alphabet("\u4e2d"), std::nullopt);
  EXPECT_EQ(decode_byte_alphabet("\xff"), std::nullopt);
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      out += i + j <= bytes.size() ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

std::string tiktoken_of(const TokenizerSpec& spec) {
  std::string out;
  for (size_t rank = 0; rank < spec.tokens.size(); ++rank) {
    out += base64(spec.tokens[rank]) + " " + std::to_string(rank) + "\n";
  }
  return out;
}

TEST(Tiktoken, DerivesTheMergesOfTheRanks) {
  const TokenizerSpec tiny = tiny_spec();
  const TokenizerSpec spec = parse_tiktoken(tiktoken_of(tiny), tiny.added).value();
  EXPECT_EQ(spec.tokens, tiny.tokens);
  EXPECT_EQ(spec.added.size(), tiny.added.size());
  // No token brings "abc" to two parts, so both ways to spell it count; "ad" is merged from bytes.
  const TokenizerSpec odd =
      parse_tiktoken(tiktoken_of(byte_spec({"abc", "ab", "bc", "ad"})), {}).value();
  using Pair = std::pair<std::string, std::string>;
  EXPECT_THAT(odd.merges, testing::ElementsAre(Pair("a", "bc"), Pair("ab", "c"), Pair("a", "b"),
                                               Pair("b", "c"), Pair("a", "d")));
  const Tokenizer tokenizer = Tokenizer::create(odd).value();
  EXPECT_THAT(tokenizer.encode("abc xabc"), testing::ElementsAre(256, ' ', 'x', 256));
}

TEST(Tiktoken, RefusesBadLines) {
  const auto message = [](std::string_view text) {
    return parse_tiktoken(text, {}).status().message();
  };
  for (const char* bad : {"YQ==", "YQ== x", "YQ== -1", "YQ 0", "Y*== 0", "YQ==  0", " 0",
                          "YQ== 2097152", "YQ== 99999999999", "YQ== 1x"}) {
    EXPECT_THAT(message(std::string("Yg== 5\n") + bad), HasSubstr("line 2")) << bad;
  }
  EXPECT_THAT(message("YQ== 1\nYg== 1\n"), HasSubstr("rank 1 is there twice"));
  EXPECT_THAT(message("YQ== 1\nYQ== 2\n"), HasSubstr("tokens 1 and 2 have the same bytes"));
  EXPECT_EQ(message(base64(std::string(256, 'x')) + " 0\r\n\r\n"), "");
  EXPECT_THAT(message(base64(std::string(257, 'x')) + " 0"), HasSubstr("line 1"));
}

}  // namespace
}  // namespace yunqi
