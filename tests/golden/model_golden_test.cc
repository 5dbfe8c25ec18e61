// Tiny random checkpoints of every architecture against the logits of transformers, in both file
// kinds; and that the way a sequence is cut into steps never changes a bit. The files are made by
// tools/make_golden.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "model_runner.h"

namespace yunqi {
namespace {

constexpr Numerics kExact{ActivationFormat::kFloat32, KvFormat::kF32};
constexpr Numerics kDefault{ActivationFormat::kInt8, KvFormat::kF16};
constexpr Numerics kSmallKv{ActivationFormat::kInt8, KvFormat::kInt8};
constexpr double kMaxError = 1e-4;  // max|a-b| / max|b|, see DESIGN section 5
// Rounding activations to 8 bits in models 64 wide, where errors average over few terms: a wrong
// block or scale is far outside, and the real bar is measured on a real model.
constexpr double kMaxQuantizedError = 0.15;
constexpr double kMinQuantizedAgreement = 0.8;

struct Golden {
  std::vector<int32_t> tokens, greedy;
  size_t prompt = 0, vocab = 0;
  std::vector<float> logits;  // [tokens, vocab]
};

struct Case {
  std::string name, file;  // file inside the folder, or "" for the folder itself
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name << "/" << c.file; }

Path folder_of(const Case& c) { return Path(YUNQI_SOURCE_DIR) / "tests/golden/tiny" / c.name; }

std::vector<int32_t> read_ids(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
  return ids;
}

Golden read_golden(const Case& c) {
  const Json json = parse_json(read_file(folder_of(c) / "golden.json").value()).value();
  const std::string bytes = read_file(folder_of(c) / "golden.bin").value();
  Golden golden{.tokens = read_ids(*json.find("tokens")),
                .greedy = read_ids(*json.find("greedy")),
                .prompt = static_cast<size_t>(json.find("prompt_tokens")->as_int()),
                .vocab = static_cast<size_t>(json.find("vocab")->as_int()),
                .logits = std::vector<float>(bytes.size() / sizeof(float))};
  std::memcpy(golden.logits.data(), bytes.data(), bytes.size());
  return golden;
}

size_t top(std::span<const float> row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

double relative_error(std::span<const float> a, std::span<const float> b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= worst)) worst = difference;  // NaN too
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

// The share of rows whose largest logit is the same.
double agreement(std::span<const float> a, std::span<const float> b, size_t vocab) {
  size_t same = 0;
  for (size_t i = 0; i < b.size(); i += vocab) {
    same += top(a.subspan(i, vocab)) == top(b.subspan(i, vocab)) ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(b.size() / vocab);
}

class ModelGolden : public testing::TestWithParam<Case> {
 protected:
  ModelRunner open(const Numerics& numerics, const std::string& isa = "") {
    auto runner = ModelRunner::open(folder_of(GetParam()) / GetParam().file, numerics, isa);
    YQ_CHECK(runner.is_ok(), "{}", runner.status().to_string());
    return std::move(runner).value();
  }
  const Golden golden_ = read_golden(GetParam());
};

TEST_P(ModelGolden, LogitsEqualTransformersHoweverTheSequenceIsCut) {
  for (const std::string_view isa : cpu_isa_levels()) {
    ModelRunner runner = open(kExact, std::string(isa));
    ASSERT_EQ(static_cast<size_t>(runner.info().vocab_rows), golden_.vocab);
    for (const size_t chunk : {golden_.tokens.size(), size_t{1}, size_t{7}, size_t{33}}) {
      const auto logits = runner.run(golden_.tokens, chunk);
      ASSERT_TRUE(logits.is_ok()) << logits.status().to_string();
      EXPECT_LE(relative_error(*logits, golden_.logits), kMaxError)
          << isa << ", steps of " << chunk;
      EXPECT_EQ(agreement(*logits, golden_.logits, golden_.vocab), 1.0) << isa;
    }
  }
}

TEST_P(ModelGolden, GreedyContinuationEqualsTransformers) {
  ModelRunner runner = open(kExact);
  ASSERT_TRUE(runner.reset(static_cast<int64_t>(golden_.tokens.size())).is_ok());
  std::vector<int32_t> next(golden_.tokens.begin(),
                            golden_.tokens.begin() + static_cast<std::ptrdiff_t>(golden_.prompt));
  std::vector<int32_t> made;
  while (made.size() < golden_.greedy.size()) {
    const auto logits = runner.step(next);
    ASSERT_TRUE(logits.is_ok());
    made.push_back(static_cast<int32_t>(top(std::span(*logits).last(golden_.vocab))));
    next = {made.back()};
  }
  EXPECT_EQ(made, golden_.greedy);
}

TEST_P(ModelGolden, QuantizedPathStaysNear) {
  for (const Numerics& numerics : {kDefault, kSmallKv}) {
    ModelRunner runner = open(numerics);
    const auto logits = runner.run(golden_.tokens, golden_.tokens.size());
    ASSERT_TRUE(logits.is_ok());
    EXPECT_LE(relative_error(*logits, golden_.logits), kMaxQuantizedError);
    EXPECT_GE(agreement(*logits, golden_.logits, golden_.vocab), kMinQuantizedAgreement);
  }
}

TEST_P(ModelGolden, BitsDoNotDependOnTheChunks) {
  for (const Numerics& numerics : {kDefault, kSmallKv, kExact}) {
    ModelRunner runner = open(numerics);
    const auto whole = runner.run(golden_.tokens, golden_.tokens.size());
    for (const size_t chunk : {size_t{1}, size_t{2}, size_t{5}, size_t{32}, size_t{47}}) {
      const auto cut = runner.run(golden_.tokens, chunk);
      ASSERT_EQ(cut->size(), whole->size());
      EXPECT_EQ(std::memcmp(cut->data(), whole->data(), whole->size() * sizeof(float)), 0)
          << "steps of " << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, ModelGolden,
    testing::Values(Case{"qwen2-tied", ""}, Case{"qwen2-tied", "model.gguf"}, Case{"qwen2-mha", ""},
                    Case{"qwen2-mha", "model.gguf"}, Case{"qwen2-yarn", ""},
                    Case{"qwen2-yarn", "model.gguf"}, Case{"qwen3", ""},
                    Case{"qwen3", "model.gguf"}, Case{"qwen3-tied-yarn", ""},
                    Case{"qwen3-tied-yarn", "model.gguf"}, Case{"qwen3-bias", ""}),
    [](const testing::TestParamInfo<Case>& c) {
      std::string name = c.param.name + (c.param.file.empty() ? "_folder" : "_gguf");
      std::ranges::replace(name, '-', '_');
      return name;
    });

}  // namespace
}  // namespace yunqi
