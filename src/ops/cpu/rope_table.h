// cos and sin of every position and frequency, float32, as transformers computes them. Built once
// by the device's pool; immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "ops/device.h"

namespace yunqi {

class CpuRopeTable final : public RopeTable {
 public:
  const RopeSpec& spec() const override { return spec_; }
  int64_t half() const { return spec_.rotary_dim / 2; }
  // [rotary_dim / 2] each; position < max_positions.
  const float* cosines(int64_t position) const { return table(position); }
  const float* sines(int64_t position) const { return table(position) + half(); }

  static Result<std::unique_ptr<CpuRopeTable>> make(const RopeSpec& spec, ThreadPool& pool);

 private:
  const float* table(int64_t position) const {
    return reinterpret_cast<const float*>(data_.data()) + position * spec_.rotary_dim;
  }

  RopeSpec spec_;
  Buffer data_;  // [max_positions][2][rotary_dim / 2]
};

// 1 / theta^(2i/d) for each pair, in float32, YaRN applied. Exposed for tests.
std::vector<float> rope_inverse_frequencies(const RopeSpec& spec);

// sin and cos of a float, correct to the last bit of a float in nearly all cases for |x| < 2^27.
void sin_cos(float x, float& sine, float& cosine);

}  // namespace yunqi
