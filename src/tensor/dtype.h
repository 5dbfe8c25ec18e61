// Element types of weights, activations and KV: plain numbers and the quantised block formats of
// GGUF. Sizes here are the source of truth for every bounds check in checkpoint/.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace yunqi {

enum class DType : uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  // GGUF blocks; the layouts are documented at their codecs in quant.h.
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
};

struct DTypeInfo {
  std::string_view name;    // "f32", "q4_k"
  uint32_t block_elements;  // 1 for plain types, 32 or 256 for blocks
  uint32_t block_bytes;     // bytes of one block
  bool is_quantized() const { return block_elements > 1; }
};

const DTypeInfo& dtype_info(DType dtype);
// Bytes of `elements` in this type; nullopt when it is no whole number of blocks or wraps.
std::optional<uint64_t> dtype_bytes(DType dtype, uint64_t elements);

// 16-bit floats as storage: arithmetic happens in float.
struct f16 {
  uint16_t bits;
};
struct bf16 {
  uint16_t bits;
};

float to_float(f16 value);  // exact
f16 to_f16(float value);    // round to nearest even
constexpr float to_float(bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }
bf16 to_bf16(float value);            // round to nearest even, NaN stays NaN
float f8e4m3_to_float(uint8_t bits);  // OCP E4M3FN: no infinity, 0x7f/0xff are NaN

}  // namespace yunqi
