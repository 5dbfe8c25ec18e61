// The sampler against a slow textbook version, its distribution, and its edges.
#include "engine/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "engine/logit_scan.h"
#include "engine/philox.h"

namespace yunqi {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(size_t count, uint64_t seed, float spread) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(count);
  for (float& x : logits) x = normal(random);
  return logits;
}

// The tokens that may be drawn, and their probabilities, from the definition with a full sort.
std::map<int32_t, double> textbook(std::vector<float> logits, const SamplingParams& params) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < order.size()) {
    order.resize(static_cast<size_t>(params.top_k));
  }
  const double best = logits[static_cast<size_t>(order[0])];
  std::vector<double> weights;
  for (const int32_t id : order) {
    weights.push_back(
        std::exp((logits[static_cast<size_t>(id)] - best) / double{params.temperature}));
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::map<int32_t, double> kept;
  double before = 0, kept_total = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && params.top_p < 1.0f && before >= double{params.top_p} * total) break;
    before += weights[i];
    if (weights[i] < double{params.min_p}) continue;
    kept[order[i]] = weights[i];
    kept_total += weights[i];
  }
  for (auto& [id, weight] : kept) weight /= kept_total;
  return kept;
}

SampledToken draw(std::vector<float> logits, SamplingParams params, uint64_t seed,
                  SamplingContext context = {}) {
  params.seed = seed;
  if (context.vocab == 0) context.vocab = static_cast<int32_t>(logits.size());
  return sample(logits, params, context);
}

// Draws many times and compares with the textbook's probabilities by chi-square.
void expect_distribution(const std::vector<float>& logits, const SamplingParams& params) {
  constexpr int kDraws = 2500;
  const std::map<int32_t, double> expected = textbook(logits, params);
  std::map<int32_t, int> counts;
  for (uint64_t seed = 0; seed < kDraws; ++seed) ++counts[draw(logits, params, seed).token];
  double chi_square = 0, rest_expected = 0, rest_found = 0;
  int degrees = 0;
  for (const auto& [token, count] : counts) {
    EXPECT_EQ(expected.count(token), 1u) << "token " << token << " must not be drawn";
  }
  for (const auto& [token, probability] : expected) {
    const double want = probability * kDraws, found = counts[token];
    if (want < 8) {
      rest_expected += want;
      rest_found += found;
      continue;
    }
    chi_square += (found - want) * (found - want) / want;
    ++degrees;
  }
  if (rest_expected >= 8) {
    chi_square += (rest_found - rest_expected) * (rest_found - rest_expected) / rest_expected;
    ++degrees;
  }
  // Mean degrees - 1, deviation sqrt(2 degrees): five of them, with fixed seeds.
  EXPECT_LT(chi_square, degrees + 5 * std::sqrt(2.0 * degrees) + 5)
      << "top_k " << params.top_k << ", top_p " << params.top_p << ", min_p " << params.min_p;
}

TEST(PhiloxTest, GivesThePublishedVectors) {
  EXPECT_EQ(philox_4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      philox_4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(LogitScanTest, WeightsAreExponentials) {
  EXPECT_EQ(exp_weight(0.0f), uint64_t{1} << kWeightBits);
  for (float x = 0.0f; x > -20.0f; x -= 0.037f) {
    const double want = std::exp(double{x}) * std::exp2(kWeightBits);
    EXPECT_NEAR(static_cast<double>(exp_weight(x)) / want, 1.0, 4e-7 + 1.0 / want) << x;
  }
  EXPECT_EQ(exp_weight(-40.0f), 0u);
  EXPECT_EQ(exp_weight(-kInfinity), 0u);
}

TEST(SamplingTest, GreedyTakesTheBestAndTiesGoToTheLowerId) {
  SamplingParams params;
  params.temperature = 0;
  std::vector<float> logits(200, 0.0f);
  logits[150] = logits[70] = 2.0f;
  EXPECT_EQ(draw(logits, params, 1).token, 70);
  logits[199] = 3.0f;
  EXPECT_EQ(draw(logits, params, 1).token, 199);
}

TEST(SamplingTest, DrawsFollowTheTextbookDistribution) {
  for (const float spread : {0.5f, 4.0f}) {
    const std::vector<float> logits = random_logits(150, 7, spread);
    for (const int32_t top_k : {0, 1, 20, 149}) {
      for (const float top_p : {1.0f, 0.8f, 0.3f}) {
        for (const float min_p : {0.0f, 0.2f}) {
          SamplingParams params;
          params.temperature = 0.7f;
          params.top_k = top_k;
          params.top_p = top_p;
          params.min_p = min_p;
          expect_distribution(logits, params);
        }
      }
    }
  }
}

// Top-p finds its cut by sorting the near tokens, or by buckets when they are many; top-k of the
// whole vocabulary less nothing is a third way. All must keep the same tokens.
TEST(SamplingTest, EveryWayToTheTopPCutAgrees) {
  for (const float spread : {0.05f, 1.0f, 3.0f}) {
    const std::vector<float> logits = random_logits(20000, 11, spread);
    for (const float top_p : {0.1f, 0.9f, 0.999f}) {
      SamplingParams params;
      params.top_p = top_p;
      SamplingParams sorted = params;
      std::vector<float> padded = logits;
      padded.push_back(-kInfinity);  // so that top_k below is in force and cuts nothing
      sorted.top_k = 20000;
      for (uint64_t seed = 0; seed < 12; ++seed) {
        ASSERT_EQ(draw(padded, params, seed).token, draw(padded, sorted, seed).token)
            << spread << " " << top_p << " " << seed;
      }
    }
  }
}

TEST(SamplingTest, DrawsDependOnSeedChoiceAndPositionOnly) {
  const std::vector<float> logits = random_logits(500, 3, 1.0f);
  const std::vector<int32_t> output = {1, 2, 3};
  SamplingContext base;
  std::set<int32_t> by_choice, by_position;
  for (int32_t i = 0; i < 3; ++i) {
    SamplingContext context = base;
    context.choice = i;
    by_choice.insert(draw(logits, {}, 5, context).token);
    context.choice = 0;
    context.output = std::span(output).first(static_cast<size_t>(i));
    by_position.insert(draw(logits, {}, 5, context).token);
    EXPECT_EQ(draw(logits, {}, 5, context).token, draw(logits, {}, 5, context).token);
  }
  EXPECT_GT(by_choice.size(), 1u);
  EXPECT_GT(by_position.size(), 1u);
}

TEST(SamplingTest, PenaltiesAndBiasComeBeforeTheChoice) {
  SamplingParams params;
  params.temperature = 0;
  const std::vector<float> logits = {3.0f, 2.5f, -1.0f, 2.4f};
  const std::vector<int32_t> prompt = {0, 0}, output = {1, 1};
  SamplingContext context;
  context.prompt = prompt;
  context.output = output;
  context.top_logprobs = 4;
  params.repetition_penalty = 2.0f;  // 1.5, 1.25, -1, 2.4
  EXPECT_EQ(draw(logits, params, 0, context).token, 3);
  params.repetition_penalty = 1.0f;
  params.frequency_penalty = 0.25f;  // the output's 1: 2.5 - 0.5 - 0.25
  params.presence_penalty = 0.25f;
  params.logit_bias = {{0, -2.0f}, {2, 0.5f}};  // 1, 1.75, -0.5, 2.4
  const SampledToken token = draw(logits, params, 0, context);
  EXPECT_EQ(token.token, 3);
  ASSERT_EQ(token.top.size(), 4u);
  EXPECT_EQ(token.top[1].token, 1);
  EXPECT_NEAR(token.top[0].logprob - token.top[1].logprob, 2.4f - 1.75f, 1e-6);
  EXPECT_NEAR(token.top[1].logprob - token.top[2].logprob, 1.75f - 1.0f, 1e-6);
}

TEST(SamplingTest, LogprobsAreTheSoftmaxBeforeMaskAndTemperature) {
  std::vector<float> logits = random_logits(1000, 9, 3.0f);
  double sum = 0;
  for (const float x : logits) sum += std::exp(double{x});
  std::vector<uint64_t> allowed(16, 0);
  allowed[2] = 1u << 5;  // token 133 only
  SamplingContext context;
  context.allowed = allowed;
  context.top_logprobs = 0;
  SamplingParams params;
  params.temperature = 0.1f;
  const SampledToken token = draw(logits, params, 1, context);
  EXPECT_EQ(token.token, 133);
  EXPECT_NEAR(token.logprob, logits[133] - std::log(sum), 2e-6);
  EXPECT_EQ(score_token(logits, 1000, 133, 0).logprob, token.logprob);
  context.forced = 7;  // forced tokens pass the mask
  EXPECT_EQ(draw(logits, params, 1, context).token, 7);
}

TEST(SamplingTest, PaddingIsNeverChosenNorCounted) {
  std::vector<float> logits = {1.0f, 0.5f, 90.0f, kNaN};
  SamplingContext context;
  context.vocab = 2;
  context.top_logprobs = 3;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SampledToken token = draw(logits, {}, seed, context);
    EXPECT_LT(token.token, 2);
    EXPECT_EQ(token.top.size(), 2u);
    EXPECT_LT(token.logprob, 0.0f);
  }
}

TEST(SamplingTest, NothingUsableGivesNoToken) {
  SamplingParams greedy;
  greedy.temperature = 0;
  for (const SamplingParams& params : {SamplingParams{}, greedy}) {
    EXPECT_EQ(draw({1.0f, kNaN, 0.0f}, params, 0).token, -1);
    EXPECT_EQ(draw({1.0f, kInfinity}, params, 0).token, -1);
    EXPECT_EQ(draw({-kInfinity, -kInfinity}, params, 0).token, -1);
    const uint64_t none = 0;
    SamplingContext context;
    context.allowed = {&none, 1};
    EXPECT_EQ(draw({1.0f, 2.0f}, params, 0, context).token, -1);
  }
  EXPECT_EQ(score_token(std::vector<float>{1.0f, 2.0f}, 2, 2, 0).token, -1);
  EXPECT_EQ(score_token(std::vector<float>{1.0f, kNaN}, 2, 0, 0).token, -1);
}

TEST(SamplingTest, ExtremeTemperaturesStayInTheVocabulary) {
  const std::vector<float> logits = random_logits(300, 4, 4.0f);
  for (const float temperature : {1e-30f, kMinTemperature, 1e-3f, 100.0f}) {
    SamplingParams params;
    params.temperature = temperature;
    const int32_t token = draw(logits, params, 3).token;
    EXPECT_GE(token, 0);
    if (temperature < 1e-2f) {
      EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
    }
  }
}

}  // namespace
}  // namespace yunqi
