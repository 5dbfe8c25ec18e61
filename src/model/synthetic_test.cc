// Synthetic models: true shapes, valid and finite blocks, the same bytes each time.
#include "model/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "model/model.h"
#include "model/synthetic_tensors.h"
#include "model/synthetic_vocabulary.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

using testing::HasSubstr;

TEST(Synthetic, UnknownNamesSayWhatExists) {
  EXPECT_EQ(synthetic_spec("qwen3:1b").status().code(), Code::kNotFound);
  EXPECT_THAT(synthetic_spec("qwen3:1b").status().message(), HasSubstr("qwen3:0.6b"));
  EXPECT_THAT(make_synthetic_checkpoint("qwen3:0.6b", "q3").status().message(),
              HasSubstr("q4_k_m, q8_0 or bf16"));
}

TEST(Synthetic, ParameterCountsAreThePublishedOnes) {
  const std::pair<std::string_view, double> sizes[] = {
      {"qwen2.5:0.5b", 0.494e9}, {"qwen3:0.6b", 0.596e9}, {"qwen3:4b", 4.02e9}};
  for (const auto& [name, parameters] : sizes) {
    const auto checkpoint = make_synthetic_checkpoint(name, "q8_0");
    ASSERT_TRUE(checkpoint.is_ok()) << checkpoint.status().to_string();
    double count = 0;
    for (const Tensor& tensor : (*checkpoint)->tensors()) {
      count += static_cast<double>(tensor.elements());
      ASSERT_EQ(tensor.bytes.size(),
                *dtype_bytes(tensor.dtype, static_cast<uint64_t>(tensor.elements())));
    }
    EXPECT_NEAR(count / parameters, 1.0, 0.01) << name;
    EXPECT_TRUE(estimate_weight_bytes(**checkpoint).is_ok());
  }
}

TEST(Synthetic, MixUsesTheTypesItStates) {
  const SyntheticMix mix{.quant = SyntheticQuant::kQ4_K_M, .layers = 28, .tied = true};
  const int64_t wide[] = {8, 1024}, odd[] = {8, 896}, vector[] = {8};
  EXPECT_EQ(synthetic_dtype(mix, "model.layers.5.mlp.up_proj.weight", wide), DType::kQ4_K);
  EXPECT_EQ(synthetic_dtype(mix, "model.layers.5.mlp.up_proj.weight", odd), DType::kQ5_0);
  EXPECT_EQ(synthetic_dtype(mix, "model.layers.27.mlp.down_proj.weight", wide), DType::kQ6_K);
  EXPECT_EQ(synthetic_dtype(mix, "model.layers.27.mlp.down_proj.weight", odd), DType::kQ8_0);
  EXPECT_EQ(synthetic_dtype(mix, "model.layers.6.mlp.down_proj.weight", wide), DType::kQ4_K);
  EXPECT_EQ(synthetic_dtype(mix, "model.embed_tokens.weight", wide), DType::kQ6_K);
  EXPECT_EQ(synthetic_dtype(mix, "model.norm.weight", vector), DType::kF32);
}

TEST(Synthetic, BlocksAreFiniteCentredAndSpreadAsStated) {
  constexpr int64_t kColumns = 1024, kRows = 64;
  for (const DType dtype : {DType::kBF16, DType::kQ8_0, DType::kQ5_0, DType::kQ4_K, DType::kQ6_K}) {
    std::vector<std::byte> bytes(*dtype_bytes(dtype, kColumns * kRows)), again(bytes.size());
    fill_matrix(dtype, kColumns, 7, bytes);
    fill_matrix(dtype, kColumns, 7, again);
    EXPECT_EQ(bytes, again);
    fill_matrix(dtype, kColumns, 8, again);
    EXPECT_NE(bytes, again);
    std::vector<float> values(kColumns * kRows);
    ASSERT_TRUE(dequantize(dtype, bytes, values).is_ok());
    double sum = 0, squares = 0;
    for (const float value : values) {
      ASSERT_TRUE(std::isfinite(value));
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const double spread = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_NEAR(spread * std::sqrt(double{kColumns}), 1.0, 0.5) << dtype_info(dtype).name;
    EXPECT_LT(std::abs(sum / static_cast<double>(values.size())), 0.1 * spread);
  }
}

TEST(Synthetic, VocabularyIsConsistent) {
  const SyntheticVocabulary vocabulary = make_synthetic_vocabulary(2000, 2048);
  ASSERT_EQ(vocabulary.tokens.size(), 2048u);
  ASSERT_EQ(vocabulary.types.size(), 2048u);
  const std::set<std::string> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
  EXPECT_EQ(known.size(), vocabulary.tokens.size());  // no two alike
  for (const std::string& merge : vocabulary.merges) {
    const size_t space = merge.find(' ');
    const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
    EXPECT_TRUE(known.contains(left) && known.contains(right) && known.contains(left + right));
  }
  EXPECT_EQ(vocabulary.tokens[static_cast<size_t>(vocabulary.end_of_turn)], "<|im_end|>");
  EXPECT_EQ(vocabulary.types[static_cast<size_t>(vocabulary.end_of_turn)], 3);
  EXPECT_EQ(vocabulary.types.back(), 5);
}

TEST(Synthetic, FileReadsBackAsTheSameModel) {
  const Path path = Path(testing::TempDir()) / "yunqi_synthetic_test.gguf";
  ASSERT_TRUE(write_synthetic_gguf("qwen2.5:0.5b", "q4_k_m", path).is_ok());
  {
    const auto file = Checkpoint::open(path);
    ASSERT_TRUE(file.is_ok()) << file.status().to_string();
    const auto memory = make_synthetic_checkpoint("qwen2.5:0.5b", "q4_k_m");
    EXPECT_EQ(estimate_weight_bytes(**file).value(), estimate_weight_bytes(**memory).value());
    EXPECT_EQ((*file)->tokenizer().gguf_tokens, (*memory)->tokenizer().gguf_tokens);
    EXPECT_EQ((*file)->chat_template(), (*memory)->chat_template());
    for (const auto& [key, value] : (*memory)->config().as_object()) {
      if (key == "rms_norm_eps") continue;  // float32 in the file
      ASSERT_NE((*file)->config().find(key), nullptr) << key;
      EXPECT_EQ((*file)->config().find(key)->dump(), value.dump()) << key;
    }
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace yunqi
