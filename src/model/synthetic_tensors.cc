// See synthetic_tensors.h. A counter drives the bytes: the n-th 8 bytes of a tensor are a hash of
// its seed and n, so that gigabytes come at memory speed. Pure functions; any thread.
#include "model/synthetic_tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace yunqi {
namespace {

// The finaliser of splitmix64 (Steele et al. 2014) over a counter.
uint64_t hash(uint64_t seed, uint64_t counter) {
  uint64_t x = seed + (counter + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

void fill_bytes(uint64_t seed, std::span<std::byte> out) {
  const size_t words = out.size() / sizeof(uint64_t);
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = hash(seed, i);
    std::memcpy(out.data() + i * sizeof(word), &word, sizeof(word));
  }
  const uint64_t word = hash(seed, words);
  std::memcpy(out.data() + words * sizeof(word), &word, out.size() % sizeof(word));
}

// Uniform floats in [low, low + width).
void fill_floats(uint64_t seed, float low, float width, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
    const float unit = static_cast<float>(hash(seed, i) >> 40) * 0x1p-24f;
    const float value = low + width * unit;
    std::memcpy(out.data() + i * sizeof(value), &value, sizeof(value));
  }
}

// A random sign and mantissa under one exponent: values of spread about 1.5 * 2^exponent.
void fill_bf16(double spread, uint64_t seed, std::span<std::byte> out) {
  fill_bytes(seed, out);
  const auto exponent = static_cast<int>(std::lround(std::log2(spread / 1.5)));
  const auto biased = static_cast<uint16_t>((exponent + 127) << 7);
  for (size_t i = 0; i < out.size(); i += sizeof(uint16_t)) {
    uint16_t bits;
    std::memcpy(&bits, out.data() + i, sizeof(bits));
    bits = static_cast<uint16_t>((bits & 0x807f) | biased);
    std::memcpy(out.data() + i, &bits, sizeof(bits));
  }
}

// Where a block's scales are, and the spread of its values for a scale of 1 when every other byte
// is uniform. Q4_K: d * s * q - m * t, where s and t are 6-bit, q 4-bit; m = 7.5 d centres it.
struct BlockShape {
  DType dtype;
  size_t scale_at;
  std::optional<size_t> minimum_at;
  double minimum_ratio, spread;
};
constexpr BlockShape kBlockShapes[] = {
    {DType::kQ5_0, 0, std::nullopt, 0, 9.23},
    {DType::kQ8_0, 0, std::nullopt, 0, 73.9},
    {DType::kQ4_K, 0, 2, 7.5, 257},
    {DType::kQ6_K, 208, std::nullopt, 0, 1366},
};

void fill_blocks(const BlockShape& shape, double spread, uint64_t seed, std::span<std::byte> out) {
  fill_bytes(seed, out);
  const auto scale = static_cast<float>(spread / shape.spread);
  const f16 d = to_f16(scale), m = to_f16(scale * static_cast<float>(shape.minimum_ratio));
  if (shape.dtype == DType::kQ8_0) {
    // Quantisers never write -128, and fast kernels count on that.
    for (std::byte& code : out) code = code == std::byte{0x80} ? std::byte{0} : code;
  }
  const size_t block_bytes = dtype_info(shape.dtype).block_bytes;
  for (size_t at = 0; at + block_bytes <= out.size(); at += block_bytes) {
    std::memcpy(out.data() + at + shape.scale_at, &d, sizeof(d));
    if (shape.minimum_at) std::memcpy(out.data() + at + *shape.minimum_at, &m, sizeof(m));
  }
}

// Layers whose v_proj and down_proj get more bits, as the common Q4_K_M recipe has it.
bool is_sensitive_layer(std::string_view name, int64_t layers) {
  constexpr std::string_view kPrefix = "model.layers.";
  int64_t layer = 0;
  for (const char c : name.substr(kPrefix.size())) {
    if (c < '0' || c > '9') break;
    layer = layer * 10 + (c - '0');
  }
  const int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

}  // namespace

std::optional<SyntheticQuant> find_synthetic_quant(std::string_view name) {
  if (name == "bf16") return SyntheticQuant::kBf16;
  if (name == "q8_0") return SyntheticQuant::kQ8_0;
  if (name == "q4_k_m") return SyntheticQuant::kQ4_K_M;
  return std::nullopt;
}

DType synthetic_dtype(const SyntheticMix& mix, std::string_view name,
                      std::span<const int64_t> shape) {
  if (shape.size() == 1) return DType::kF32;
  if (mix.quant == SyntheticQuant::kBf16) return DType::kBF16;
  if (mix.quant == SyntheticQuant::kQ8_0) return DType::kQ8_0;
  const bool is_output = name == (mix.tied ? "model.embed_tokens.weight" : "lm_head.weight");
  const bool fine =
      is_output || ((name.ends_with("v_proj.weight") || name.ends_with("down_proj.weight")) &&
                    is_sensitive_layer(name, mix.layers));
  if (shape[1] % dtype_info(DType::kQ4_K).block_elements != 0) {
    return fine ? DType::kQ8_0 : DType::kQ5_0;
  }
  return fine ? DType::kQ6_K : DType::kQ4_K;
}

void fill_norm(uint64_t seed, std::span<std::byte> out) { fill_floats(seed, 0.9f, 0.2f, out); }

void fill_bias(uint64_t seed, std::span<std::byte> out) { fill_floats(seed, -0.1f, 0.2f, out); }

void fill_matrix(DType dtype, int64_t columns, uint64_t seed, std::span<std::byte> out) {
  const double spread = 1 / std::sqrt(static_cast<double>(columns));
  if (dtype == DType::kBF16) return fill_bf16(spread, seed, out);
  for (const BlockShape& shape : kBlockShapes) {
    if (shape.dtype == dtype) return fill_blocks(shape, spread, seed, out);
  }
  YQ_CHECK(false, "no random blocks of {}", dtype_info(dtype).name);
}

}  // namespace yunqi
