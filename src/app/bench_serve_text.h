// What a load test sends: lengths drawn from distributions, and English-looking text of about so
// many tokens. Seeded, so that two runs send the same. Plain values; no threads.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "base/result.h"

namespace yunqi {

// 64-bit Mersenne twister with our own conversions: the same on every platform.
class LoadRandom {
 public:
  explicit LoadRandom(uint64_t seed) : engine_(seed) {}
  double uniform();      // [0, 1)
  double normal();       // mean 0, deviation 1 (Box-Muller)
  double exponential();  // mean 1
  uint64_t below(uint64_t end) { return engine_() % end; }

 private:
  std::mt19937_64 engine_;
};

inline constexpr int64_t kMaxLoadTokens = int64_t{1} << 22;

// "128", "uniform:64:256" (both ends included), "lognormal:128:0.5" (median, deviation of the
// logarithm).
class LengthDistribution {
 public:
  explicit LengthDistribution(int64_t fixed = 128) : low_(fixed), high_(fixed) {}
  static Result<LengthDistribution> parse(const std::string& text);
  int64_t draw(LoadRandom& random) const;  // 1 to kMaxLoadTokens

 private:
  bool lognormal_ = false;
  int64_t low_, high_;  // of the uniform one; the median is in low_
  double sigma_ = 0;
};

// Words that are one token each with the space before them, in Qwen's vocabularies and most others.
std::string make_words(LoadRandom& random, int64_t words);

// Text of about `tokens` tokens for a tokenizer that makes `tokens_per_word` of such words.
std::string make_text(LoadRandom& random, int64_t tokens, double tokens_per_word);

}  // namespace yunqi
