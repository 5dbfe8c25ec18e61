// Random weights for synthetic models: which type each tensor has, and valid blocks of it.
// Internal to model/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace yunqi {

enum class SyntheticQuant { kBf16, kQ8_0, kQ4_K_M };
std::optional<SyntheticQuant> find_synthetic_quant(std::string_view name);

// What decides a tensor's type beside its name and shape.
struct SyntheticMix {
  SyntheticQuant quant = SyntheticQuant::kBf16;
  int64_t layers = 0;
  bool tied = false;
};
DType synthetic_dtype(const SyntheticMix& mix, std::string_view name,
                      std::span<const int64_t> shape);

// Fills a tensor of rank 1 (near 1 for norms, near 0 for biases) or 2 (spread 1 / sqrt(columns)).
// The bytes depend on the arguments only. `out` is whole blocks.
void fill_norm(uint64_t seed, std::span<std::byte> out);
void fill_bias(uint64_t seed, std::span<std::byte> out);
void fill_matrix(DType dtype, int64_t columns, uint64_t seed, std::span<std::byte> out);

}  // namespace yunqi
