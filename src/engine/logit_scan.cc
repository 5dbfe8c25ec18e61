// See logit_scan.h.
#include "engine/logit_scan.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

namespace yunqi {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

// Everything here is plain code that the compiler turns into vectors. It is
// built twice; the bits are the same, since nothing may be contracted or
// reordered.

// A float's bits as an integer of the same order (NaNs apart), and back.
[[gnu::always_inline]] inline int32_t to_ordered(int32_t bits) {
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

// The maximum of a whole block; notes NaNs, which are in no maximum.
[[gnu::always_inline]] inline float max_of_block(const float *x,
                                                 bool &has_nan) {
  constexpr int32_t kInfinityBits = 0x7f800000;
  int32_t max = std::numeric_limits<int32_t>::min(), nan = 0;
  for (size_t i = 0; i < kLogitBlock; ++i) {
    const auto bits = std::bit_cast<int32_t>(x[i]);
    const int32_t is_nan = (bits & 0x7fffffff) > kInfinityBits ? -1 : 0;
    const int32_t ordered =
        is_nan != 0 ? to_ordered(std::bit_cast<int32_t>(kNegativeInfinity))
                    : to_ordered(bits);
    nan |= is_nan;
    max = ordered > max ? ordered : max;
  }
  has_nan = has_nan || nan != 0;
  return std::bit_cast<float>(to_ordered(max));
}

[[gnu::always_inline]] inline uint64_t sum_block(const float *x, size_t n,
                                                 const LogitWeights &weights) {
  uint64_t values[kLogitBlock];
  for (size_t i = 0; i < n; ++i)
    values[i] = exp_weight((x[i] - weights.max) * weights.scale);
  uint64_t sum = 0;
  if (weights.least <= 1) {
    for (size_t i = 0; i < n; ++i)
      sum += values[i];
  } else {
    const auto least = static_cast<int64_t>(weights.least);
    for (size_t i = 0; i < n; ++i)
      sum += static_cast<int64_t>(values[i]) >= least ? values[i] : 0;
  }
  return sum;
}

// What is built twice, over full blocks.
struct BlockPasses {
  float (*max)(const float *x, bool &has_nan);
  uint64_t (*sum)(const float *x, const LogitWeights &weights);
};

float max_plain(const float *x, bool &has_nan) {
  return max_of_block(x, has_nan);
}
uint64_t sum_plain(const float *x, const LogitWeights &weights) {
  return sum_block(x, kLogitBlock, weights);
}

#ifdef __x86_64__
[[gnu::target("avx2")]] float max_avx2(const float *x, bool &has_nan) {
  return max_of_block(x, has_nan);
}
[[gnu::target("avx2")]] uint64_t sum_avx2(const float *x,
                                          const LogitWeights &weights) {
  return sum_block(x, kLogitBlock, weights);
}
#endif

const BlockPasses &best_passes() {
#ifdef __x86_64__
  static const BlockPasses passes = __builtin_cpu_supports("avx2")
                                        ? BlockPasses{max_avx2, sum_avx2}
                                        : BlockPasses{max_plain, sum_plain};
#else
  static const BlockPasses passes = {max_plain, sum_plain};
#endif
  return passes;
}

} // namespace

LogitSummary scan_logits(std::span<const float> logits,
                         std::vector<float> &block_max) {
  LogitSummary summary{kNegativeInfinity, false};
  const size_t full = logits.size() / kLogitBlock;
  block_max.resize((logits.size() + kLogitBlock - 1) / kLogitBlock);
  const BlockPasses &passes = best_passes();
  for (size_t b = 0; b < full; ++b) {
    block_max[b] = passes.max(logits.data() + b * kLogitBlock, summary.has_nan);
    summary.max = std::max(summary.max, block_max[b]);
  }
  if (full < block_max.size()) {
    float max = kNegativeInfinity;
    for (const float value : logits.subspan(full * kLogitBlock)) {
      max = value > max ? value : max;
      summary.has_nan = summary.has_nan || value != value;
    }
    block_max[full] = max;
    summary.max = std::max(summary.max, max);
  }
  return summary;
}

uint64_t sum_weights(std::span<const float> logits,
                     std::span<const float> block_max,
                     const LogitWeights &weights,
                     std::vector<uint64_t> *block_sums) {
  const BlockPasses &passes = best_passes();
  if (block_sums != nullptr)
    block_sums->resize(block_max.size());
  uint64_t total = 0;
  for (size_t b = 0; b < block_max.size(); ++b) {
    const float *x = logits.data() + b * kLogitBlock;
    const size_t n = std::min(kLogitBlock, logits.size() - b * kLogitBlock);
    uint64_t sum = 0;
    if ((block_max[b] - weights.max) * weights.scale > kNoWeight) {
      sum =
          n == kLogitBlock ? passes.sum(x, weights) : sum_block(x, n, weights);
    }
    if (block_sums != nullptr)
      (*block_sums)[b] = sum;
    total += sum;
  }
  return total;
}

void gather_at_least(std::span<const float> logits,
                     std::span<const float> block_max, float bound,
                     std::vector<LogitCandidate> &out) {
  for (size_t b = 0; b < block_max.size(); ++b) {
    if (!(block_max[b] >= bound))
      continue;
    const size_t end = std::min((b + 1) * kLogitBlock, logits.size());
    for (size_t i = b * kLogitBlock; i < end; ++i) {
      if (logits[i] >= bound && logits[i] > kNegativeInfinity) {
        out.push_back({logits[i], static_cast<int32_t>(i)});
      }
    }
  }
}

void select_best(std::span<const float> logits,
                 std::span<const float> block_max, size_t count,
                 std::vector<float> &scratch,
                 std::vector<LogitCandidate> &out) {
  out.clear();
  if (count == 0)
    return;
  float bound = kNegativeInfinity;
  if (count <= block_max.size()) {
    // The count-th largest block maximum is a logit with at least count - 1
    // others above or at it.
    scratch.assign(block_max.begin(), block_max.end());
    const auto nth = scratch.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(scratch.begin(), nth, scratch.end(), std::greater<>());
    bound = *nth;
  }
  gather_at_least(logits, block_max, bound, out);
  if (out.size() > count) {
    const auto nth = out.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(out.begin(), nth, out.end());
    out.resize(count);
  }
  std::sort(out.begin(), out.end());
}

} // namespace yunqi
