// Passes over one row of logits for the sampler: block maxima, exponential weights as integers, and
// the best few. Weights are integers so that sums do not depend on the order of adding: every
// algorithm for a cut finds the same one. Pure functions; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace yunqi {

inline constexpr size_t kLogitBlock = 64;
inline constexpr int kWeightBits = 40;      // the most probable token weighs 2^40
inline constexpr float kNoWeight = -29.0f;  // exponents from here down weigh nothing

struct LogitCandidate {
  float logit = 0;
  int32_t id = 0;
  // The sampler's order: higher logit first, ties to the lower id.
  friend bool operator<(const LogitCandidate& a, const LogitCandidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};

struct LogitSummary {
  float max = 0;
  bool has_nan = false;
};

// round(2^40 exp(x)) for x <= 0, from a degree 7 Taylor polynomial after Cody-Waite reduction;
// relative error below 3e-7. Plain IEEE operations: the same bits scalar or vectorised.
[[gnu::always_inline]] inline uint64_t exp_weight(float x) {
  constexpr float kLowest = kNoWeight;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const float clamped = x > kLowest ? x : kLowest;
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) + 127u) << 23;
  const double scaled = static_cast<double>(p * std::bit_cast<float>(exponent)) *
                        static_cast<double>(uint64_t{1} << kWeightBits);
  constexpr double kRoundDouble = 4503599627370496.0;  // 2^52: the low bits become the integer
  return std::bit_cast<uint64_t>(scaled + kRoundDouble) & ((uint64_t{1} << 52) - 1);
}

// The maximum of each block of kLogitBlock logits, and of all. `block_max` is resized.
LogitSummary scan_logits(std::span<const float> logits, std::vector<float>& block_max);

// The weights exp((logit - max) * scale) of a row, those under `least` counted as nothing.
struct LogitWeights {
  float max = 0, scale = 1;
  uint64_t least = 0;
};

// Sum of the weights of all logits; `block_sums`, when given, receives those of the blocks. About
// 0.1 ms for 150,000 logits where there is AVX2, with the same bits anywhere.
uint64_t sum_weights(std::span<const float> logits, std::span<const float> block_max,
                     const LogitWeights& weights, std::vector<uint64_t>* block_sums);

// Appends the logits >= bound and > -infinity, in order of id.
void gather_at_least(std::span<const float> logits, std::span<const float> block_max, float bound,
                     std::vector<LogitCandidate>& out);

// The `count` best, in the sampler's order; fewer when fewer are above -infinity. `scratch` is
// overwritten.
void select_best(std::span<const float> logits, std::span<const float> block_max, size_t count,
                 std::vector<float>& scratch, std::vector<LogitCandidate>& out);

}  // namespace yunqi
