// The sampler against transformers' logits processors: the same tokens are left after penalties,
// temperature, top-k, top-p and min-p, and draws follow the same probabilities. The file is made by
// tools/make_sampling_golden.py.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "engine/sampling.h"

namespace yunqi {
namespace {

constexpr int kDraws = 6000;

float read_float(const Json& json) { return static_cast<float>(json.as_double()); }

SamplingParams read_params(const Json& json) {
  SamplingParams params;
  params.temperature = read_float(*json.find("temperature"));
  params.top_k = static_cast<int32_t>(json.find("top_k")->as_int());
  params.top_p = read_float(*json.find("top_p"));
  params.min_p = read_float(*json.find("min_p"));
  params.repetition_penalty = read_float(*json.find("repetition_penalty"));
  return params;
}

TEST(SamplingGolden, DrawsAreThoseOfTransformers) {
  const Path path = Path(YUNQI_SOURCE_DIR) / "tests/golden/sampling.json";
  const Json golden = parse_json(read_file(path).value()).value();
  std::vector<int32_t> history;
  for (const Json& id : golden.find("history")->as_array()) {
    history.push_back(static_cast<int32_t>(id.as_int()));
  }
  for (const Json& c : golden.find("cases")->as_array()) {
    const auto row = static_cast<size_t>(c.find("row")->as_int());
    std::vector<float> logits;
    for (const Json& x : golden.find("logits")->as_array()[row].as_array()) {
      logits.push_back(read_float(x));
    }
    SamplingContext context;
    context.prompt = history;
    context.vocab = static_cast<int32_t>(logits.size());
    SamplingParams params = read_params(c);
    std::map<int32_t, int> counts;
    for (params.seed = 0; params.seed < kDraws; ++params.seed) {
      std::vector<float> scratch = logits;
      ++counts[sample(scratch, params, context).token];
    }
    const auto& kept = c.find("kept")->as_array();
    const auto& probabilities = c.find("probabilities")->as_array();
    for (size_t i = 0; i < kept.size(); ++i) {
      const double want = probabilities[i].as_double() * kDraws;
      const int found = counts[static_cast<int32_t>(kept[i].as_int())];
      // Five deviations, with fixed seeds.
      EXPECT_NEAR(found, want, 5 * std::sqrt(want) + 3)
          << c.dump() << "\ntoken " << kept[i].as_int();
      counts.erase(static_cast<int32_t>(kept[i].as_int()));
    }
    EXPECT_TRUE(counts.empty()) << "token " << counts.begin()->first << " was cut\n" << c.dump();
  }
}

}  // namespace
}  // namespace yunqi
