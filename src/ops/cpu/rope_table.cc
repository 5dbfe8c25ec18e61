// See rope_table.h. Frequencies follow transformers' modeling_rope_utils in float32; the angle is
// the float product position * frequency; its sine and cosine are computed in double and rounded.
#include "ops/cpu/rope_table.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <utility>

#include "ops/cpu/memory.h"

namespace yunqi {
namespace {

constexpr int32_t kMaxRotaryDim = 4096;
constexpr int64_t kMaxPositions = int64_t{1} << 26;
constexpr int64_t kPositionsPerChunk = 256;

// The pair index whose wavelength makes `rotations` turns in the original context
// (transformers' find_correction_dim).
double correction_index(const RopeSpec& spec, double rotations) {
  const double positions = static_cast<double>(spec.yarn_original_positions);
  return spec.rotary_dim * std::log(positions / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(spec.theta));
}

}  // namespace

std::vector<float> rope_inverse_frequencies(const RopeSpec& spec) {
  const int half = spec.rotary_dim / 2;
  std::vector<float> result(static_cast<size_t>(half));
  const bool yarn = spec.yarn_factor != 1.0;
  double low = 0.0, high = 0.0;
  if (yarn) {
    low = std::max(std::floor(correction_index(spec, spec.yarn_beta_fast)), 0.0);
    high = std::min(std::ceil(correction_index(spec, spec.yarn_beta_slow)),
                    static_cast<double>(spec.rotary_dim - 1));
    if (low == high) high += 0.001;
  }
  for (int i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(spec.rotary_dim);
    const auto power = static_cast<float>(std::pow(spec.theta, static_cast<double>(exponent)));
    float frequency = 1.0f / power;
    if (yarn) {
      const float ramp = std::clamp(
          (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f,
          1.0f);
      const float extrapolation = 1.0f - ramp;
      const float interpolated = 1.0f / (static_cast<float>(spec.yarn_factor) * power);
      frequency = interpolated * (1.0f - extrapolation) + frequency * extrapolation;
    }
    result[static_cast<size_t>(i)] = frequency;
  }
  return result;
}

void sin_cos(float x, float& sine, float& cosine) {
  // x = n * pi/2 + r with |r| <= pi/4; pi/2 in two parts, exact for the n that occur.
  constexpr double kHigh = 1.57079632673412561417e+00, kLow = 6.07710050650619224932e-11;
  const double value = static_cast<double>(x);
  const double n = std::floor(value * (2.0 / std::numbers::pi) + 0.5);
  const double r = (value - n * kHigh) - n * kLow;
  const double r2 = r * r;
  // Taylor series; the first dropped term is below 1e-13 on [-pi/4, pi/4].
  const double s =
      r * (1.0 +
           r2 * (-1.0 / 6 +
                 r2 * (1.0 / 120 + r2 * (-1.0 / 5040 +
                                         r2 * (1.0 / 362880 + r2 * (-1.0 / 39916800 +
                                                                    r2 * (1.0 / 6227020800.0)))))));
  const double c =
      1.0 +
      r2 * (-1.0 / 2 +
            r2 * (1.0 / 24 + r2 * (-1.0 / 720 + r2 * (1.0 / 40320 +
                                                      r2 * (-1.0 / 3628800 +
                                                            r2 * (1.0 / 479001600.0 +
                                                                  r2 * (-1.0 / 87178291200.0)))))));
  const auto quadrant = static_cast<int64_t>(n) & 3;
  const double a = (quadrant & 1) != 0 ? c : s, b = (quadrant & 1) != 0 ? s : c;
  sine = static_cast<float>((quadrant & 2) != 0 ? -a : a);
  cosine = static_cast<float>(((quadrant + 1) & 2) != 0 ? -b : b);
}

Result<std::unique_ptr<CpuRopeTable>> CpuRopeTable::make(const RopeSpec& spec, ThreadPool& pool) {
  if (spec.rotary_dim < 2 || spec.rotary_dim > kMaxRotaryDim || spec.rotary_dim % 2 != 0 ||
      spec.max_positions < 1 || spec.max_positions > kMaxPositions) {
    return error(
        Code::kUnsupported,
        "rotary embedding: want an even size of 2..{} and 1..{} positions, found {} and {}",
        kMaxRotaryDim, kMaxPositions, spec.rotary_dim, spec.max_positions);
  }
  const bool yarn = spec.yarn_factor != 1.0;
  if (!(spec.theta > 1.0) || !std::isfinite(spec.theta) || !std::isfinite(spec.attention_factor) ||
      (yarn && !(spec.yarn_factor > 0.0 && std::isfinite(spec.yarn_factor) &&
                 spec.yarn_original_positions > 0 && spec.yarn_beta_fast > 0.0 &&
                 spec.yarn_beta_slow > 0.0))) {
    return error(Code::kBadFile,
                 "rotary embedding: theta {}, YaRN factor {} over {} positions and "
                 "attention factor {} make no sense; check the model's config",
                 spec.theta, spec.yarn_factor, spec.yarn_original_positions, spec.attention_factor);
  }
  auto rope = std::make_unique<CpuRopeTable>();
  rope->spec_ = spec;
  YQ_TRY(rope->data_, allocate_host(static_cast<size_t>(spec.max_positions) *
                                    static_cast<size_t>(spec.rotary_dim) * sizeof(float)));
  const std::vector<float> frequencies = rope_inverse_frequencies(spec);
  const auto factor = static_cast<float>(spec.attention_factor);
  auto* data = reinterpret_cast<float*>(rope->data_.data());
  pool.parallel_for(spec.max_positions, kPositionsPerChunk, [&](int64_t begin, int64_t end, int) {
    const size_t half = frequencies.size();
    for (int64_t position = begin; position < end; ++position) {
      float* cosines = data + position * spec.rotary_dim;
      for (size_t i = 0; i < half; ++i) {
        float sine, cosine;
        sin_cos(static_cast<float>(position) * frequencies[i], sine, cosine);
        cosines[i] = cosine * factor;
        cosines[half + i] = sine * factor;
      }
    }
  });
  return rope;
}

}  // namespace yunqi
