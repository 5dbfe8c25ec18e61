// See logit_scan.h.
#include "engine/logit_scan.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace yunqi {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;

// Over a whole block, in lanes that the compiler turns into vectors.
float full_block_max(const float* x, bool& has_nan) {
  float lanes[kLanes];
  uint32_t nan_lanes[kLanes] = {};
  std::fill(lanes, lanes + kLanes, kNegativeInfinity);
  for (size_t i = 0; i < kLogitBlock; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      const float value = x[i + j];
      lanes[j] = value > lanes[j] ? value : lanes[j];
      nan_lanes[j] |= value != value ? 1u : 0u;
    }
  }
  float max = kNegativeInfinity;
  uint32_t nan = 0;
  for (size_t j = 0; j < kLanes; ++j) {
    max = lanes[j] > max ? lanes[j] : max;
    nan |= nan_lanes[j];
  }
  has_nan = has_nan || nan != 0;
  return max;
}

}  // namespace

LogitSummary scan_logits(std::span<const float> logits, std::vector<float>& block_max) {
  LogitSummary summary{kNegativeInfinity, false};
  const size_t full = logits.size() / kLogitBlock;
  block_max.resize((logits.size() + kLogitBlock - 1) / kLogitBlock);
  for (size_t b = 0; b < full; ++b) {
    block_max[b] = full_block_max(logits.data() + b * kLogitBlock, summary.has_nan);
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

uint64_t sum_weights(std::span<const float> logits, float max, float scale, uint64_t least,
                     std::vector<uint64_t>* block_sums) {
  const size_t blocks = (logits.size() + kLogitBlock - 1) / kLogitBlock;
  if (block_sums != nullptr) block_sums->resize(blocks);
  uint64_t total = 0;
  for (size_t b = 0; b < blocks; ++b) {
    const float* x = logits.data() + b * kLogitBlock;
    const size_t n = std::min(kLogitBlock, logits.size() - b * kLogitBlock);
    uint64_t weights[kLogitBlock];
    for (size_t i = 0; i < n; ++i) weights[i] = exp_weight((x[i] - max) * scale);
    uint64_t sum = 0;
    if (least <= 1) {
      for (size_t i = 0; i < n; ++i) sum += weights[i];
    } else {
      for (size_t i = 0; i < n; ++i) sum += weights[i] >= least ? weights[i] : 0;
    }
    if (block_sums != nullptr) (*block_sums)[b] = sum;
    total += sum;
  }
  return total;
}

void gather_at_least(std::span<const float> logits, std::span<const float> block_max, float bound,
                     std::vector<LogitCandidate>& out) {
  for (size_t b = 0; b < block_max.size(); ++b) {
    if (!(block_max[b] >= bound)) continue;
    const size_t end = std::min((b + 1) * kLogitBlock, logits.size());
    for (size_t i = b * kLogitBlock; i < end; ++i) {
      if (logits[i] >= bound && logits[i] > kNegativeInfinity) {
        out.push_back({logits[i], static_cast<int32_t>(i)});
      }
    }
  }
}

void select_best(std::span<const float> logits, std::span<const float> block_max, size_t count,
                 std::vector<float>& scratch, std::vector<LogitCandidate>& out) {
  out.clear();
  if (count == 0) return;
  float bound = kNegativeInfinity;
  if (count <= block_max.size()) {
    // The count-th largest block maximum is a logit with at least count - 1 others above or at it.
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

}  // namespace yunqi
