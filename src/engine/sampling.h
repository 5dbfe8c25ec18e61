// Logits to a token: penalties, bias, temperature, top-k, top-p, min-p, and the draw. A pure
// function of (logits, history, parameters, seed, choice, position): no state, no clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace yunqi {

struct SamplingParams {
  float temperature = 1.0f;        // 0: greedy
  int32_t top_k = 0;               // 0: off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f; // over prompt and output, as transformers
  float presence_penalty = 0.0f;   // over output, as OpenAI
  float frequency_penalty = 0.0f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, added to its logit
  uint64_t seed = 0;               // always set by the time it gets here
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
};

// Chooses one token. `logits` is scratch: it is changed. Ties go to the lower id. The draw comes
// from Philox-4x32-10 (Salmon et al. 2011) keyed by the seed, countered by (choice, position).
// If nothing is allowed or a logit is NaN, the token is -1 and the caller ends the request.
SampledToken sample(std::span<float> logits, const SamplingParams& params,
                    const SamplingContext& context);

// log softmax(logits)[token] and the `top` most probable, without sampling (echo, scoring).
SampledToken score_token(std::span<const float> logits, int32_t vocab, int32_t token, int32_t top);

// Names the sampler's definition in fingerprints; changes when any output could.
inline constexpr const char* kSamplerVersion = "sampler-1";

}  // namespace yunqi
