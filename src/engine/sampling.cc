// The sampler's definition; sampling.h states it, logit_scan.h does the passes over a row.
#include "engine/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/logit_scan.h"
#include "engine/philox.h"

namespace yunqi {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();
constexpr uint64_t kFullWeight = uint64_t{1} << kWeightBits;
// Top-p over a whole vocabulary first looks at what is within this many nats of the best token.
constexpr float kNearNats = 8.0f;
constexpr size_t kMaxSortedNear = 4096;
// Else at sums by distance from the best token, in steps of 1/64 nat up to where weights are 0.
constexpr int32_t kBucketsPerNat = 64;
constexpr size_t kBuckets = 30 * kBucketsPerNat;

// Kept between calls of a thread, so that a step allocates nothing.
struct Scratch {
  std::vector<float> block_max, floats;
  std::vector<uint64_t> block_sums, bucket_sums;
  std::vector<LogitCandidate> candidates, best;
  std::vector<int32_t> counts;  // [vocab], all zero between uses
};

Scratch& thread_scratch() {
  static thread_local Scratch scratch;
  return scratch;
}

bool in_vocab(int32_t token, std::span<const float> logits) {
  return token >= 0 && static_cast<size_t>(token) < logits.size();
}

// x = x > 0 ? x / penalty : x * penalty, once for each distinct token of prompt and output.
void apply_repetition(std::span<float> logits, float penalty, const SamplingContext& context,
                      std::vector<int32_t>& seen) {
  const std::span<const int32_t> parts[] = {context.prompt, context.output};
  for (const auto part : parts) {
    for (const int32_t token : part) {
      if (!in_vocab(token, logits) || seen[static_cast<size_t>(token)] != 0) continue;
      seen[static_cast<size_t>(token)] = 1;
      float& x = logits[static_cast<size_t>(token)];
      x = x > 0 ? x / penalty : x * penalty;
    }
  }
  for (const auto part : parts) {
    for (const int32_t token : part) {
      if (in_vocab(token, logits)) seen[static_cast<size_t>(token)] = 0;
    }
  }
}

void apply_penalties(std::span<float> logits, const SamplingParams& params,
                     const SamplingContext& context, std::vector<int32_t>& counts) {
  if (counts.size() < logits.size()) counts.resize(logits.size(), 0);
  if (params.repetition_penalty != 1.0f) {
    apply_repetition(logits, params.repetition_penalty, context, counts);
  }
  if (params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f) {
    for (const int32_t token : context.output) {
      if (in_vocab(token, logits)) ++counts[static_cast<size_t>(token)];
    }
    for (const int32_t token : context.output) {
      if (!in_vocab(token, logits)) continue;
      int32_t& count = counts[static_cast<size_t>(token)];
      if (count == 0) continue;  // done at an earlier occurrence
      logits[static_cast<size_t>(token)] -=
          params.presence_penalty + params.frequency_penalty * static_cast<float>(count);
      count = 0;
    }
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_vocab(token, logits)) logits[static_cast<size_t>(token)] += bias;
  }
}

void apply_mask(std::span<float> logits, std::span<const uint64_t> allowed) {
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t word = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
    if (word == ~uint64_t{0}) continue;
    const size_t end = std::min(begin + 64, logits.size());
    for (size_t i = begin; i < end; ++i) {
      if (((word >> (i - begin)) & 1) == 0) logits[i] = kNegativeInfinity;
    }
  }
}

bool is_usable(const LogitSummary& summary) {
  return !summary.has_nan && std::isfinite(summary.max);
}

// log(sum(exp(logits))) from integer weights.
double log_sum_exp(std::span<const float> logits, std::span<const float> block_max, float max) {
  const uint64_t sum = sum_weights(logits, block_max, {.max = max}, nullptr);
  return static_cast<double>(max) +
         std::log(static_cast<double>(sum) / static_cast<double>(kFullWeight));
}

int32_t first_at_max(std::span<const float> logits, std::span<const float> block_max, float max) {
  for (size_t b = 0; b < block_max.size(); ++b) {
    if (block_max[b] != max) continue;
    const auto block = logits.subspan(b * kLogitBlock);
    const auto at = std::find(block.begin(), block.end(), max);
    return static_cast<int32_t>(at - logits.begin());
  }
  return -1;
}

// A draw's view of the distribution: weights exp((logit - max) * scale), those under `least` and
// those after `last` in the sampler's order not kept.
struct Distribution {
  std::span<const float> logits;
  std::span<const float> block_max;
  float max = 0, scale = 1;
  uint64_t least = 0;
  LogitCandidate last{kNegativeInfinity, std::numeric_limits<int32_t>::max()};

  uint64_t weight(float logit) const { return exp_weight((logit - max) * scale); }
  uint64_t kept_weight(const LogitCandidate& candidate) const {
    const uint64_t w = weight(candidate.logit);
    return w >= least && !(last < candidate) ? w : 0;
  }
};

// A number in [0, total) from 64 random bits.
uint64_t random_below(uint64_t total, const SamplingParams& params,
                      const SamplingContext& context) {
  const uint64_t position = context.output.size();
  const PhiloxCounter counter = {static_cast<uint32_t>(position),
                                 static_cast<uint32_t>(position >> 32),
                                 static_cast<uint32_t>(context.choice), 0};
  const PhiloxKey key = {static_cast<uint32_t>(params.seed),
                         static_cast<uint32_t>(params.seed >> 32)};
  const PhiloxCounter random = philox_4x32_10(counter, key);
  const uint64_t bits = (static_cast<uint64_t>(random[1]) << 32) | random[0];
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(bits) * total) >> 64);
}

// The fewest best tokens reach the target when the sum before the last of them is below it.
uint64_t top_p_target(float top_p, uint64_t total) {
  const double target = std::ceil(static_cast<double>(top_p) * static_cast<double>(total));
  return target < 1 ? 1 : static_cast<uint64_t>(target);
}

// The last kept of `sorted`, whose first follows tokens that weigh `before`.
LogitCandidate cut_sorted(const Distribution& d, std::span<const LogitCandidate> sorted,
                          uint64_t before, uint64_t target) {
  for (const LogitCandidate& candidate : sorted) {
    before += d.weight(candidate.logit);
    if (before >= target) return candidate;
  }
  return sorted.back();
}

// Top-p's last token over the whole row. Either way below gives the same one: sums are exact.
LogitCandidate top_p_cut(const Distribution& d, uint64_t target, Scratch& scratch) {
  auto& candidates = scratch.candidates;
  candidates.clear();
  gather_at_least(d.logits, d.block_max, d.max - kNearNats / d.scale, candidates);
  if (candidates.size() <= kMaxSortedNear) {
    uint64_t near = 0;
    for (const LogitCandidate& candidate : candidates) near += d.weight(candidate.logit);
    if (near >= target) {
      std::sort(candidates.begin(), candidates.end());
      return cut_sorted(d, candidates, 0, target);
    }
  }
  const auto bucket_of = [&d](float logit) {
    const float nats = (d.max - logit) * d.scale;
    return nats < 29.5f ? static_cast<size_t>(nats * kBucketsPerNat) : kBuckets - 1;
  };
  scratch.bucket_sums.assign(kBuckets, 0);
  const float bound = d.max + kNoWeight / d.scale;
  for (size_t i = 0; i < d.logits.size(); ++i) {
    if (i % kLogitBlock == 0 && d.block_max[i / kLogitBlock] < bound) {
      i += kLogitBlock - 1;  // none of the block weighs anything
      continue;
    }
    scratch.bucket_sums[bucket_of(d.logits[i])] += d.weight(d.logits[i]);
  }
  uint64_t before = 0;
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && before + scratch.bucket_sums[bucket] < target) {
    before += scratch.bucket_sums[bucket++];
  }
  candidates.clear();
  for (size_t i = 0; i < d.logits.size(); ++i) {
    if (bucket_of(d.logits[i]) == bucket) {
      candidates.push_back({d.logits[i], static_cast<int32_t>(i)});
    }
  }
  std::sort(candidates.begin(), candidates.end());
  return cut_sorted(d, candidates, before, target);
}

// Walks candidates in order of id until the kept weights pass a random share of their sum.
int32_t draw_from(const Distribution& d, std::span<const LogitCandidate> by_id,
                  const SamplingParams& params, const SamplingContext& context) {
  uint64_t total = 0;
  for (const LogitCandidate& candidate : by_id) total += d.kept_weight(candidate);
  uint64_t left = random_below(total, params, context);
  for (const LogitCandidate& candidate : by_id) {
    const uint64_t weight = d.kept_weight(candidate);
    if (left < weight) return candidate.id;
    left -= weight;
  }
  return -1;
}

// The same over the whole row, with the sums of blocks to skip by. Only for an uncut row.
int32_t draw_from_all(const Distribution& d, const SamplingParams& params,
                      const SamplingContext& context, std::vector<uint64_t>& block_sums) {
  const uint64_t total = sum_weights(d.logits, d.block_max, {d.max, d.scale, d.least}, &block_sums);
  uint64_t left = random_below(total, params, context);
  size_t block = 0;
  while (left >= block_sums[block]) left -= block_sums[block++];
  for (size_t i = block * kLogitBlock; i < d.logits.size(); ++i) {
    const uint64_t weight = d.kept_weight({d.logits[i], static_cast<int32_t>(i)});
    if (left < weight) return static_cast<int32_t>(i);
    left -= weight;
  }
  return -1;
}

bool by_id(const LogitCandidate& a, const LogitCandidate& b) { return a.id < b.id; }

int32_t choose(std::span<float> logits, const SamplingParams& params,
               const SamplingContext& context, Scratch& scratch) {
  const LogitSummary summary = scan_logits(logits, scratch.block_max);
  if (!is_usable(summary)) return -1;
  if (!(params.temperature >= kMinTemperature)) {
    return first_at_max(logits, scratch.block_max, summary.max);
  }
  Distribution d{logits, scratch.block_max, summary.max, 1.0f / params.temperature};
  // At most the best token's own weight, so that it always stays.
  d.least = static_cast<uint64_t>(static_cast<double>(std::clamp(params.min_p, 0.0f, 1.0f)) *
                                  static_cast<double>(kFullWeight));
  auto& candidates = scratch.candidates;
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size()) {
    select_best(logits, scratch.block_max, static_cast<size_t>(params.top_k), scratch.floats,
                candidates);
    if (params.top_p < 1.0f) {
      uint64_t total = 0;
      for (const LogitCandidate& candidate : candidates) total += d.weight(candidate.logit);
      d.last = cut_sorted(d, candidates, 0, top_p_target(params.top_p, total));
    }
    std::sort(candidates.begin(), candidates.end(), by_id);
  } else if (params.top_p < 1.0f) {
    const uint64_t total = sum_weights(logits, d.block_max, {d.max, d.scale, 0}, nullptr);
    d.last = top_p_cut(d, top_p_target(params.top_p, total), scratch);
    candidates.clear();
    gather_at_least(logits, scratch.block_max, d.last.logit, candidates);
  } else {
    return draw_from_all(d, params, context, scratch.block_sums);
  }
  return draw_from(d, candidates, params, context);
}

void add_top(std::span<const float> logits, double normaliser, int32_t count, Scratch& scratch,
             SampledToken& out) {
  select_best(logits, scratch.block_max, static_cast<size_t>(count), scratch.floats, scratch.best);
  out.top.reserve(scratch.best.size());
  for (const LogitCandidate& candidate : scratch.best) {
    out.top.push_back(
        {candidate.id, static_cast<float>(static_cast<double>(candidate.logit) - normaliser)});
  }
}

std::span<float> without_padding(std::span<float> logits, int32_t vocab) {
  return logits.first(std::min(logits.size(), static_cast<size_t>(std::max(vocab, 0))));
}

}  // namespace

SampledToken sample(std::span<float> logits, const SamplingParams& params,
                    const SamplingContext& context) {
  Scratch& scratch = thread_scratch();
  logits = without_padding(logits, context.vocab);
  apply_penalties(logits, params, context, scratch.counts);
  SampledToken out;
  out.token = -1;
  double normaliser = 0;
  if (context.top_logprobs >= 0) {
    const LogitSummary summary = scan_logits(logits, scratch.block_max);
    if (!is_usable(summary)) return out;
    normaliser = log_sum_exp(logits, scratch.block_max, summary.max);
    if (context.top_logprobs > 0) {
      add_top(logits, normaliser, context.top_logprobs, scratch, out);
    }
  }
  if (context.forced >= 0) {
    out.token = in_vocab(context.forced, logits) ? context.forced : -1;
  } else {
    if (!context.allowed.empty()) apply_mask(logits, context.allowed);
    out.token = choose(logits, params, context, scratch);
  }
  if (out.token >= 0 && context.top_logprobs >= 0) {
    out.logprob = static_cast<float>(static_cast<double>(logits[static_cast<size_t>(out.token)]) -
                                     normaliser);
  }
  return out;
}

SampledToken score_token(std::span<const float> logits, int32_t vocab, int32_t token, int32_t top) {
  Scratch& scratch = thread_scratch();
  logits = logits.first(std::min(logits.size(), static_cast<size_t>(std::max(vocab, 0))));
  SampledToken out;
  out.token = -1;
  const LogitSummary summary = scan_logits(logits, scratch.block_max);
  if (!is_usable(summary) || !in_vocab(token, logits)) return out;
  const double normaliser = log_sum_exp(logits, scratch.block_max, summary.max);
  out.token = token;
  out.logprob =
      static_cast<float>(static_cast<double>(logits[static_cast<size_t>(token)]) - normaliser);
  if (top > 0) add_top(logits, normaliser, top, scratch, out);
  return out;
}

}  // namespace yunqi
