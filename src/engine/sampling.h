// Logits to a token: penalties, bias, temperature, top-k, top-p, min-p, and the draw. A pure
// function of (logits, history, parameters, seed, choice, position): no state, no clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace yunqi {

// Temperatures below this are greedy: the quotient would leave float's range.
inline constexpr float kMinTemperature = 1e-5f;

struct SamplingParams {
  float temperature = 1.0f;  // 0 (or below kMinTemperature): greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;  // over prompt and output, as transformers
  float presence_penalty = 0.0f;    // over output, as OpenAI
  float frequency_penalty = 0.0f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, added to its logit
  uint64_t seed = 0;                                  // always set by the time it gets here
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;  // of the model's distribution after penalties and bias, before temperature
};

struct SampledToken {
  int32_t token = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;  // as many as asked for, most probable first
};

// What a token's choice may look at.
struct SamplingContext {
  std::span<const int32_t> prompt, output;
  std::span<const uint64_t> allowed;  // bit set over the vocabulary, empty: all (grammar, guards)
  int32_t vocab = 0;                  // ids >= vocab are padding and never chosen
  int32_t choice = 0;                 // index among the request's n
  int32_t top_logprobs = -1;          // -1: no logprob wanted
  int32_t forced = -1;                // >= 0: this token comes next; only its logprob is computed
};

// Chooses one token. `logits` is scratch: it is changed. In this order:
//   1. repetition penalty (positive logits divided, others multiplied, once per distinct token),
//      then presence and frequency penalties, then bias; log-probabilities are taken here
//   2. tokens that are not allowed leave
//   3. greedy: the best token. Else logits are divided by the temperature, and of what is left
//      top-k keeps the k best, top-p the fewest best whose share of the sum reaches p, min-p those
//      with at least min_p times the best one's probability
//   4. the draw walks the kept tokens by id until their sum passes a random share of the total.
// "Best" is by logit, ties to the lower id. Probabilities are integers (logit_scan.h), so sums are
// exact. The random number is Philox-4x32-10 (Salmon et al. 2011), keyed by the seed and countered
// by (choice, position), the position being the number of output tokens so far.
// If nothing is allowed, or a logit is NaN or +infinity, the token is -1 and the caller ends the
// request. Any thread; scratch memory is kept per thread.
SampledToken sample(std::span<float> logits, const SamplingParams& params,
                    const SamplingContext& context);

// log softmax(logits)[token] and the `top` most probable, without sampling (echo, scoring).
SampledToken score_token(std::span<const float> logits, int32_t vocab, int32_t token, int32_t top);

// Names the sampler's definition in fingerprints; changes when any output could.
inline constexpr const char* kSamplerVersion = "sampler-1";

}  // namespace yunqi
