// What GGUF's metadata becomes: config, tokenizer tables, end ids, template; and each way for them
// to be wrong. The names G12 to G25 are rows of the list of bad inputs (tests/badinput.tsv).
#include "checkpoint/gguf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/assembled.h"
#include "checkpoint/limits.h"
#include "checkpoint/test_files.h"

namespace yunqi {
namespace {

using test::bytes_of;
using test::kGgmlF32;
using test::raw;
using test::RawGguf;
using test::tiny_gguf;
using test::tiny_metadata;
using testing::HasSubstr;

// Drops the pair that tiny_metadata() wrote for `key`.
void erase(RawGguf& file, std::string_view key) {
  const std::string start = test::raw_text(key);
  const auto removed =
      std::erase_if(file.pairs, [&](const std::string& pair) { return pair.starts_with(start); });
  ASSERT_EQ(removed, 1u) << key;
}

Json config_of(const RawGguf& file) {
  const std::string bytes = file.bytes();
  const auto checkpoint = open_gguf_bytes(bytes_of(bytes));
  EXPECT_TRUE(checkpoint.is_ok()) << checkpoint.status().to_string();
  return checkpoint.is_ok() ? (*checkpoint)->config() : Json();
}

void expect_bad(const RawGguf& file, std::string_view part, Code code = Code::kBadFile) {
  const std::string bytes = file.bytes();
  const Status status = open_gguf_bytes(bytes_of(bytes)).status();
  EXPECT_EQ(status.code(), code) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr(std::string(part)));
}

TEST(GgufConfig, SaysWhatConfigJsonWould) {
  EXPECT_EQ(config_of(tiny_gguf()).dump(),
            R"({"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","num_hidden_layers":1,)"
            R"("hidden_size":32,"intermediate_size":64,"num_attention_heads":2,)"
            R"("num_key_value_heads":1,"max_position_embeddings":64,"head_dim":16,)"
            R"("rms_norm_eps":1e-06,"rope_theta":1000000.0,"rope_scaling":null,)"
            R"("tie_word_embeddings":true,"vocab_size":8})");
}

TEST(GgufConfig, NamesTheArchitecture) {
  EXPECT_EQ(config_of(tiny_gguf("qwen2")).find("architectures")->dump(), R"(["Qwen2ForCausalLM"])");
  EXPECT_EQ(config_of(tiny_gguf("qwen35")).find("model_type")->as_string(), "qwen3_5");
  EXPECT_EQ(config_of(tiny_gguf("llama")).find("architectures")->dump(), R"(["gguf:llama"])");
  RawGguf projector;  // G25: a projector goes through the same door
  projector.text("general.architecture", "clip");
  projector.tensor_with_data("v.patch_embd.weight", {14, 14, 3, 2}, kGgmlF32, 14 * 14 * 3 * 2 * 4);
  EXPECT_EQ(config_of(projector).find("architectures")->dump(), R"(["gguf:clip"])");
  projector.data.pop_back();
  expect_bad(projector, "truncated");
}

TEST(GgufConfig, ExpertKeys) {
  RawGguf file = tiny_gguf("qwen3moe");
  expect_bad(file, "qwen3moe.expert_count is missing");
  file.u32("qwen3moe.expert_count", 8);
  file.u32("qwen3moe.expert_used_count", 2);
  file.u32("qwen3moe.expert_feed_forward_length", 16);
  const Json config = config_of(file);
  EXPECT_EQ(config.find("num_experts")->as_int(), 8);
  EXPECT_EQ(config.find("num_experts_per_tok")->as_int(), 2);
  EXPECT_EQ(config.find("moe_intermediate_size")->as_int(), 16);
  EXPECT_TRUE(config.find("norm_topk_prob")->as_bool());
  erase(file, "qwen3moe.expert_used_count");
  file.u32("qwen3moe.expert_used_count", 9);
  expect_bad(file, "9 experts a token of 8");
}

TEST(GgufConfig, HeadDimRopeAndTies) {
  RawGguf file = tiny_gguf();
  file.u32("qwen3.attention.key_length", 64);
  file.u32("qwen3.attention.value_length", 64);
  file.u32("qwen3.rope.dimension_count", 16);
  file.text("qwen3.rope.scaling.type", "yarn");
  file.f32("qwen3.rope.scaling.factor", 4.0f);
  file.u32("qwen3.rope.scaling.original_context_length", 32);
  file.tensor_with_data("output.weight", {32, 8}, kGgmlF32, 1024);
  const Json config = config_of(file);
  EXPECT_EQ(config.find("head_dim")->as_int(), 64);
  EXPECT_EQ(config.find("partial_rotary_factor")->as_double(), 0.25);
  EXPECT_FALSE(config.find("tie_word_embeddings")->as_bool());
  EXPECT_EQ(config.find("rope_scaling")->dump(),
            R"({"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32})");
}

TEST(GgufConfig, G19NumbersOutOfRange) {
  const std::string keys[] = {"block_count",          "context_length",
                              "embedding_length",     "feed_forward_length",
                              "attention.head_count", "attention.head_count_kv"};
  for (const std::string& key : keys) {
    RawGguf file = tiny_gguf();
    erase(file, "qwen3." + key);
    RawGguf zero = file, minus = file, large = file, text = file;
    zero.u32("qwen3." + key, 0);
    expect_bad(zero, "qwen3." + key);
    minus.pair("qwen3." + key, GgufType::kI32, raw<int32_t>(-1));
    expect_bad(minus, "found -1");
    large.u32("qwen3." + key, 0xffffffff);
    expect_bad(large, "found 4294967295");
    text.text("qwen3." + key, "1");
    expect_bad(text, "found string");
  }
  RawGguf file = tiny_gguf();
  erase(file, "qwen3.block_count");
  file.u32("qwen3.block_count", static_cast<uint32_t>(kMaxLayers));
  EXPECT_TRUE(config_of(file).is_object());
  erase(file, "qwen3.block_count");
  file.u32("qwen3.block_count", static_cast<uint32_t>(kMaxLayers) + 1);
  expect_bad(file, "want 1 to 1024, found 1025");
}

TEST(GgufConfig, G19NumbersThatDoNotFitEachOther) {
  RawGguf file = tiny_gguf();
  erase(file, "qwen3.attention.head_count_kv");
  file.u32("qwen3.attention.head_count_kv", 3);
  expect_bad(file, "2 attention heads can't share 3");
  file = tiny_gguf();
  erase(file, "qwen3.attention.head_count");
  file.u32("qwen3.attention.head_count", 3);
  expect_bad(file, "3 heads do not divide 32");
  file = tiny_gguf();
  file.u32("qwen3.rope.dimension_count", 17);
  expect_bad(file, "want 2 to 16, found 17");
  file = tiny_gguf();
  file.u32("qwen3.attention.value_length", 8);
  expect_bad(file, "values of 8", Code::kUnsupported);
}

TEST(GgufConfig, G19RealNumbers) {
  for (const float bad : {0.0f, -1.0f, 2.0f, 1e38f}) {
    RawGguf file = tiny_gguf();
    erase(file, "qwen3.attention.layer_norm_rms_epsilon");
    file.f32("qwen3.attention.layer_norm_rms_epsilon", bad);
    expect_bad(file, "layer_norm_rms_epsilon");
  }
  for (const float bad : {0.0f, -1.0f, 1e30f}) {
    RawGguf file = tiny_gguf();
    erase(file, "qwen3.rope.freq_base");
    file.f32("qwen3.rope.freq_base", bad);
    expect_bad(file, "rope.freq_base");
    file = tiny_gguf();
    file.text("qwen3.rope.scaling.type", "linear");
    file.f32("qwen3.rope.scaling.factor", bad);
    expect_bad(file, "rope.scaling.factor");
  }
}

TEST(GgufConfig, G20MissingKeysAreNamed) {
  for (const std::string_view key :
       {"general.architecture", "qwen3.block_count", "qwen3.context_length",
        "qwen3.embedding_length", "qwen3.feed_forward_length", "qwen3.attention.head_count",
        "qwen3.attention.layer_norm_rms_epsilon"}) {
    RawGguf file = tiny_gguf();
    erase(file, key);
    expect_bad(file, "the required key " + std::string(key) + " is missing");
  }
  RawGguf file = tiny_gguf();
  file.text("qwen3.rope.scaling.type", "yarn");
  expect_bad(file, "qwen3.rope.scaling.factor is missing");
  expect_bad(tiny_metadata(), "token_embd.weight is missing");
  file = tiny_gguf();
  erase(file, "qwen3.attention.head_count_kv");  // optional: all heads have their own
  EXPECT_EQ(config_of(file).find("num_key_value_heads")->as_int(), 2);
}

TEST(GgufConfig, G18VocabularyComesFromTheData) {
  RawGguf file = tiny_gguf();
  file.u32("qwen3.vocab_size", 4'000'000'000u);
  EXPECT_EQ(config_of(file).find("vocab_size")->as_int(), 8);
  erase(file, "tokenizer.ggml.tokens");
  erase(file, "tokenizer.ggml.token_type");
  file.texts("tokenizer.ggml.tokens", std::vector<std::string>(9, "t"));
  expect_bad(file, "9 tokens for 8 rows");
}

TEST(GgufTokenizer, TablesAreViews) {
  const std::string bytes = tiny_gguf().bytes();
  const auto checkpoint = open_gguf_bytes(bytes_of(bytes));
  ASSERT_TRUE(checkpoint.is_ok());
  const TokenizerFiles& files = (*checkpoint)->tokenizer();
  ASSERT_EQ(files.gguf_tokens.size(), 6u);
  EXPECT_EQ(files.gguf_tokens[4], "<|im_end|>");
  EXPECT_GE(files.gguf_tokens[4].data(), bytes.data());
  EXPECT_LT(files.gguf_tokens[4].data(), bytes.data() + bytes.size());
  EXPECT_EQ(files.gguf_types, (std::vector<int32_t>{1, 1, 1, 3, 3, 3}));
  EXPECT_EQ(files.gguf_merges, (std::vector<std::string_view>{"a b"}));
  EXPECT_EQ(files.gguf_pre, "qwen2");
  EXPECT_EQ((*checkpoint)->chat_template(), "{{ messages[0].content }}");
  EXPECT_EQ((*checkpoint)->generation_config().dump(),
            R"({"pad_token_id":3,"eos_token_id":[4,3]})");
}

TEST(GgufTokenizer, OnlyControlTokensEndAnAnswer) {
  RawGguf file = tiny_gguf();
  erase(file, "tokenizer.ggml.token_type");
  std::string types;
  for (int i = 0; i < 6; ++i) types += raw<int32_t>(1);
  file.array("tokenizer.ggml.token_type", GgufType::kI32, 6, types);
  file.u32("tokenizer.ggml.eot_token_id", 5);
  file.f32("general.sampling.temp", 0.7f);
  file.pair("general.sampling.top_k", GgufType::kI32, raw<int32_t>(20));
  const std::string bytes = file.bytes();
  const auto checkpoint = open_gguf_bytes(bytes_of(bytes));
  ASSERT_TRUE(checkpoint.is_ok());
  EXPECT_EQ((*checkpoint)->generation_config().dump(),
            R"({"pad_token_id":3,"eos_token_id":[4,5],"temperature":0.7,"top_k":20})");
}

TEST(GgufTokenizer, OtherTokenizersAreLeftOut) {
  RawGguf file = tiny_gguf();
  erase(file, "tokenizer.ggml.model");
  file.text("tokenizer.ggml.model", "llama");
  const std::string bytes = file.bytes();
  const auto checkpoint = open_gguf_bytes(bytes_of(bytes));
  ASSERT_TRUE(checkpoint.is_ok());
  EXPECT_TRUE((*checkpoint)->tokenizer().gguf_tokens.empty());
}

TEST(GgufTokenizer, G12T9TablesOfWrongTypeOrLength) {
  RawGguf file = tiny_gguf();
  erase(file, "tokenizer.ggml.token_type");
  RawGguf narrow = file, shorter = file;
  narrow.array("tokenizer.ggml.token_type", GgufType::kU8, 6, "abcdef");
  expect_bad(narrow, "want an array of i32, found array of 6 u8");
  shorter.array("tokenizer.ggml.token_type", GgufType::kI32, 5, std::string(20, '\0'));
  expect_bad(shorter, "5 items for 6 tokens");
  file = tiny_gguf();
  erase(file, "tokenizer.ggml.eos_token_id");
  file.u32("tokenizer.ggml.eos_token_id", 6);
  expect_bad(file, "want 0 to 5, found 6");
  file = tiny_gguf();
  erase(file, "tokenizer.ggml.merges");
  file.u32("tokenizer.ggml.merges", 1);
  expect_bad(file, "array of string");
}

TEST(GgufTokenizer, T9MergesAtTheirLimitAndOneOver) {
  for (const uint64_t count : {kMaxGgufMerges, kMaxGgufMerges + 1}) {
    RawGguf file = tiny_gguf();
    erase(file, "tokenizer.ggml.merges");
    file.array("tokenizer.ggml.merges", GgufType::kText, count, std::string(count * 8, '\0'));
    if (count == kMaxGgufMerges) {
      EXPECT_TRUE(config_of(file).is_object());
    } else {
      expect_bad(file, "at most 1048576 items", Code::kTooLarge);
    }
  }
}

TEST(GgufTokenizer, T9TokensAtTheirLimitAndOneOver) {
  for (const uint64_t count : {kMaxGgufTokens, kMaxGgufTokens + 1}) {
    RawGguf file = tiny_gguf();
    erase(file, "tokenizer.ggml.tokens");
    file.array("tokenizer.ggml.tokens", GgufType::kText, count, std::string(count * 8, '\0'));
    expect_bad(file, count == kMaxGgufTokens ? "6 items for 1048576 tokens" : "at most 1048576",
               count == kMaxGgufTokens ? Code::kBadFile : Code::kTooLarge);
  }
}

TEST(GgufChatTemplate, SizeAndText) {
  RawGguf file = tiny_gguf();
  erase(file, "tokenizer.chat_template");
  RawGguf at = file, over = file, broken = file;
  at.text("tokenizer.chat_template", std::string(kMaxChatTemplateBytes, 't'));
  EXPECT_TRUE(config_of(at).is_object());
  over.text("tokenizer.chat_template", std::string(kMaxChatTemplateBytes + 1, 't'));
  expect_bad(over, "at most 1048576 bytes", Code::kTooLarge);
  broken.text("tokenizer.chat_template", "\xc3(");
  expect_bad(broken, "not UTF-8");
}

TEST(GgufMetadataJson, CutsWhatIsLong) {
  RawGguf file = tiny_gguf();
  file.text("long", std::string(5'000, 'x'));
  file.array("many", GgufType::kF32, 17, std::string(68, '\0'));
  file.array("few", GgufType::kI16, 2, raw<int16_t>(-1) + raw<int16_t>(2));
  file.pair("infinite", GgufType::kF64, raw(std::numeric_limits<double>::infinity()));
  file.text("broken", "\xff");
  const std::string bytes = file.bytes();
  const auto checkpoint = open_gguf_bytes(bytes_of(bytes));
  ASSERT_TRUE(checkpoint.is_ok());
  const Json& metadata = (*checkpoint)->metadata();
  EXPECT_THAT(metadata.find("long")->as_string(), testing::EndsWith("x... (5000 bytes)"));
  EXPECT_EQ(metadata.find("many")->as_string(), "array of 17 f32");
  EXPECT_EQ(metadata.find("few")->dump(), "[-1,2]");
  EXPECT_TRUE(metadata.find("infinite")->is_null());
  EXPECT_EQ(metadata.find("broken")->as_string(), "\xef\xbf\xbd");
  EXPECT_EQ(metadata.find("tokenizer.ggml.merges")->dump(), R"(["a b"])");
}

}  // namespace
}  // namespace yunqi
