// What a checkpoint may ask for and what it gets: hyperparameters out of range, tensors that do not
// fit, variants that are not supported. No device is needed: every refusal comes before one is
// used.
#include "model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "model/blocks.h"
#include "model/registry.h"

namespace yunqi {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Names and shapes without weights' values.
class ListedCheckpoint final : public Checkpoint {
 public:
  explicit ListedCheckpoint(Json config) : config_(std::move(config)), bytes_(1 << 20) {}

  void add(const std::string& name, std::vector<int64_t> shape, DType dtype = DType::kF32) {
    Tensor tensor{.name = name, .dtype = dtype, .shape = std::move(shape), .bytes = {}};
    const auto size = *dtype_bytes(dtype, static_cast<uint64_t>(tensor.elements()));
    tensor.bytes = std::span(bytes_).first(size);
    tensors_.push_back(std::move(tensor));
  }
  void remove(std::string_view name) {
    std::erase_if(tensors_, [&](const Tensor& tensor) { return tensor.name == name; });
  }

  const Json& config() const override { return config_; }
  const Json& generation_config() const override { return nothing_; }
  const TokenizerFiles& tokenizer() const override { return tokenizer_; }
  const std::string& chat_template() const override { return template_; }
  const Json& metadata() const override { return nothing_; }
  std::span<const Tensor> tensors() const override { return tensors_; }
  const Tensor* find(std::string_view name) const override {
    for (const Tensor& tensor : tensors_) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }
  std::string_view format() const override { return "test"; }
  std::span<const Path> files() const override { return {}; }
  std::string fingerprint() const override { return "test"; }

 private:
  Json config_, nothing_;
  TokenizerFiles tokenizer_;
  std::string template_;
  std::vector<std::byte> bytes_;
  std::vector<Tensor> tensors_;
};

Json small_config(std::string_view architecture = "Qwen2ForCausalLM") {
  return Json::object({{"architectures", Json::array({architecture})},
                       {"hidden_size", 64},
                       {"num_hidden_layers", 2},
                       {"num_attention_heads", 4},
                       {"num_key_value_heads", 2},
                       {"intermediate_size", 96},
                       {"vocab_size", 320},
                       {"rms_norm_eps", 1e-6},
                       {"rope_theta", 1e6},
                       {"max_position_embeddings", 128},
                       {"tie_word_embeddings", false}});
}

Json with(std::string_view key, Json value) {
  Json config = small_config();
  config.set(key, std::move(value));
  return config;
}

// Every tensor that the config's field list names.
ListedCheckpoint whole_checkpoint(const Json& config) {
  ListedCheckpoint checkpoint(config);
  FieldLister lister;
  YQ_CHECK(find_model_entry(config).value()->walk(config, lister).is_ok());
  for (const auto& field : lister.fields()) checkpoint.add(field.name, field.shape);
  return checkpoint;
}

Status walk_status(const Json& config) {
  const auto entry = find_model_entry(config);
  if (!entry.is_ok()) return entry.status();
  FieldLister lister;
  return (*entry)->walk(config, lister);
}

TEST(ModelConfig, GoodOnesPass) {
  EXPECT_TRUE(walk_status(small_config()).is_ok());
  EXPECT_TRUE(walk_status(small_config("Qwen3ForCausalLM")).is_ok());
  EXPECT_TRUE(walk_status(with("use_sliding_window", false)).is_ok());
  EXPECT_TRUE(walk_status(with("rope_scaling", nullptr)).is_ok());
}

TEST(ModelConfig, AMissingKeyIsNamed) {
  for (const std::string_view key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "vocab_size", "max_position_embeddings"}) {
    const Status status = walk_status(with(key, nullptr));
    EXPECT_EQ(status.code(), Code::kBadFile);
    EXPECT_THAT(status.message(), HasSubstr(fmt::format("{} is missing", key)));
  }
}

TEST(ModelConfig, NumbersOutOfRangeAreNamed) {
  for (const std::string_view key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "intermediate_size", "vocab_size", "max_position_embeddings", "head_dim"}) {
    for (const Json& value :
         {Json(0), Json(-1), Json(int64_t{1} << 31), Json(std::numeric_limits<int64_t>::max()),
          Json(std::numeric_limits<uint64_t>::max()), Json(1.5), Json("64"), Json(true),
          Json::array({64})}) {
      const Status status = walk_status(with(key, value));
      EXPECT_EQ(status.code(), Code::kBadFile) << key << " " << value.dump();
      EXPECT_THAT(status.message(), HasSubstr(key));
    }
  }
}

TEST(ModelConfig, LimitsHoldAtTheLimitAndOneOver) {
  EXPECT_TRUE(walk_status(with("num_hidden_layers", 1024)).is_ok());
  EXPECT_FALSE(walk_status(with("num_hidden_layers", 1025)).is_ok());
  EXPECT_TRUE(walk_status(with("head_dim", 512)).is_ok());
  EXPECT_FALSE(walk_status(with("head_dim", 520)).is_ok());
  Json wide = with("hidden_size", 65536);
  wide.set("head_dim", 16);
  EXPECT_TRUE(walk_status(wide).is_ok());
  wide.set("hidden_size", 65537);
  EXPECT_FALSE(walk_status(wide).is_ok());
  EXPECT_TRUE(walk_status(with("vocab_size", 4194304)).is_ok());
  EXPECT_FALSE(walk_status(with("vocab_size", 4194305)).is_ok());
  EXPECT_TRUE(walk_status(with("intermediate_size", 1048576)).is_ok());
  EXPECT_FALSE(walk_status(with("intermediate_size", 1048577)).is_ok());
}

TEST(ModelConfig, HeadsMustFit) {
  EXPECT_THAT(walk_status(with("num_attention_heads", 5)).message(),
              AllOf(HasSubstr("num_key_value_heads"), HasSubstr("hidden_size 64")));
  EXPECT_THAT(walk_status(with("num_key_value_heads", 3)).message(), HasSubstr("no multiple"));
  EXPECT_THAT(walk_status(with("head_dim", 12)).message(), HasSubstr("multiple of 8"));
}

TEST(ModelConfig, EveryProblemIsInOneError) {
  Json config = with("hidden_size", 0);
  config.set("vocab_size", -3);
  config.set("rms_norm_eps", "small");
  EXPECT_THAT(walk_status(config).message(),
              AllOf(HasSubstr("hidden_size: want an integer from 1 to 65536, found 0"),
                    HasSubstr("vocab_size"), HasSubstr("rms_norm_eps")));
}

TEST(ModelConfig, UnsupportedFeaturesAreNamed) {
  const std::pair<std::string_view, Json> features[] = {
      {"use_sliding_window", true},
      {"hidden_act", "gelu"},
      {"partial_rotary_factor", 0.5},
      {"layer_types", Json::array({"full_attention", "sliding_attention"})},
      {"rope_scaling", Json::object({{"rope_type", "linear"}, {"factor", 2.0}})},
      {"quantization_config", Json::object({{"quant_method", "gptq"}})},
      {"dual_chunk_attention_config", Json::object({{"chunk_size", 1024}})},
  };
  for (const auto& [key, value] : features) {
    const Status status = walk_status(with(key, value));
    EXPECT_EQ(status.code(), Code::kUnsupported) << key;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(key), HasSubstr("supported")));
  }
}

TEST(ModelConfig, UnknownArchitecturesSayWhatIsSupported) {
  const Status status = walk_status(small_config("LlamaForCausalLM"));
  EXPECT_EQ(status.code(), Code::kUnsupported);
  for (const std::string_view name : supported_architectures()) {
    EXPECT_THAT(status.message(), HasSubstr(name));
  }
  for (const Json& value :
       {Json(), Json(JsonArray{}), Json("Qwen2ForCausalLM"), Json::array({1})}) {
    EXPECT_EQ(walk_status(with("architectures", value)).code(), Code::kBadFile);
  }
}

RopeSpec rope_of(const Json& config, Status* status = nullptr) {
  ConfigReader reader(config);
  const RopeSpec rope = read_rope(reader, 64);
  if (status != nullptr) *status = reader.status();
  return rope;
}

TEST(Rope, OldAndNewKeysMeanTheSame) {
  Json old_keys = small_config();
  old_keys.set(
      "rope_scaling",
      Json::object({{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}}));
  Json new_keys = small_config();
  new_keys.set("rope_theta", nullptr);
  new_keys.set("rope_parameters", Json::object({{"rope_type", "yarn"},
                                                {"rope_theta", 1e6},
                                                {"factor", 4.0},
                                                {"original_max_position_embeddings", 64}}));
  for (const Json& config : {old_keys, new_keys}) {
    const RopeSpec rope = rope_of(config);
    EXPECT_EQ(rope.rotary_dim, 64);
    EXPECT_EQ(rope.theta, 1e6);
    EXPECT_EQ(rope.yarn_factor, 4.0);
    EXPECT_EQ(rope.yarn_original_positions, 64);
    EXPECT_EQ(rope.max_positions, 256);  // four times the original, more than the 128 it names
    EXPECT_DOUBLE_EQ(rope.attention_factor, 0.1 * std::log(4.0) + 1);
  }
  EXPECT_EQ(rope_of(small_config()).yarn_factor, 1.0);
  EXPECT_EQ(rope_of(small_config()).max_positions, 128);
}

TEST(Rope, YarnOptionsAreReadAndChecked) {
  Json scaling = Json::object({{"rope_type", "yarn"},
                               {"factor", 2.0},
                               {"attention_factor", 1.25},
                               {"beta_fast", 16},
                               {"beta_slow", 2.0}});
  const RopeSpec rope = rope_of(with("rope_scaling", scaling));
  EXPECT_EQ(rope.attention_factor, 1.25);
  EXPECT_EQ(rope.yarn_beta_fast, 16);
  EXPECT_EQ(rope.yarn_beta_slow, 2);
  EXPECT_EQ(rope.yarn_original_positions, 128);  // the config's own when none is named

  for (const Json& factor : {Json(0), Json(-1.0), Json(1e9), Json("4")}) {
    Status status;
    scaling.set("factor", factor);
    rope_of(with("rope_scaling", scaling), &status);
    EXPECT_EQ(status.code(), Code::kBadFile) << factor.dump();
    EXPECT_THAT(status.message(), HasSubstr("rope_scaling.factor"));
  }
}

TEST(Tensors, AWholeCheckpointIsCounted) {
  const ListedCheckpoint checkpoint = whole_checkpoint(small_config());
  const auto bytes = estimate_weight_bytes(checkpoint);
  ASSERT_TRUE(bytes.is_ok()) << bytes.status().to_string();
  uint64_t elements = 0;
  for (const Tensor& tensor : checkpoint.tensors()) {
    elements += static_cast<uint64_t>(tensor.elements());
  }
  EXPECT_EQ(*bytes, elements * sizeof(float));
}

TEST(Tensors, EveryProblemIsInOneErrorWithBothShapes) {
  ListedCheckpoint checkpoint = whole_checkpoint(small_config());
  checkpoint.remove("model.layers.1.mlp.up_proj.weight");
  checkpoint.remove("model.layers.0.self_attn.k_proj.bias");
  checkpoint.remove("model.norm.weight");
  checkpoint.add("model.norm.weight", {32}, DType::kF16);
  const Status status = estimate_weight_bytes(checkpoint).status();
  EXPECT_EQ(status.code(), Code::kBadFile);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("model.layers.1.mlp.up_proj.weight: want [96, 64], found none"),
                    HasSubstr("model.layers.0.self_attn.k_proj.bias: want [32], found none"),
                    HasSubstr("model.norm.weight: want [64], found [32] f16")));
}

TEST(Tensors, ManyProblemsAreCounted) {
  const ListedCheckpoint checkpoint(small_config());
  EXPECT_THAT(estimate_weight_bytes(checkpoint).status().message(), HasSubstr("and 19 more"));
}

TEST(Tensors, WhatWouldBeIgnoredIsRefused) {
  ListedCheckpoint checkpoint = whole_checkpoint(small_config());
  checkpoint.add("model.layers.0.self_attn.rotary_emb.inv_freq", {8});
  EXPECT_TRUE(estimate_weight_bytes(checkpoint).is_ok());
  checkpoint.add("model.layers.0.self_attn.o_proj.bias", {64});
  EXPECT_THAT(estimate_weight_bytes(checkpoint).status().message(),
              HasSubstr("model.layers.0.self_attn.o_proj.bias: not part of this architecture"));
}

TEST(Tensors, TypesThatAreNoNumbersAreRefused) {
  ListedCheckpoint checkpoint = whole_checkpoint(small_config());
  checkpoint.remove("lm_head.weight");
  checkpoint.add("lm_head.weight", {320, 64}, DType::kI32);
  EXPECT_THAT(estimate_weight_bytes(checkpoint).status().message(), HasSubstr("[320, 64] i32"));
}

TEST(Tensors, TiedModelsNeedNoHead) {
  ListedCheckpoint checkpoint = whole_checkpoint(with("tie_word_embeddings", true));
  EXPECT_EQ(checkpoint.find("lm_head.weight"), nullptr);
  EXPECT_TRUE(estimate_weight_bytes(checkpoint).is_ok());
}

}  // namespace
}  // namespace yunqi
