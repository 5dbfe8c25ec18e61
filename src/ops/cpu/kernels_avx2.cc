// The kernel table for AVX2, FMA and F16C. Compiled with these flags, so nothing here may be seen
// from other files but the one function that returns the table.
#include <immintrin.h>

#include "ops/cpu/kernels.h"

namespace yunqi {
namespace {

// In this order: later ones use earlier ones.
// clang-format off
#include "ops/cpu/body/layout.inl"
#include "ops/cpu/body/x86_vector.inl"
#include "ops/cpu/body/avx2_dot.inl"
#include "ops/cpu/body/x86_blocks.inl"
#include "ops/cpu/body/x86_gemv.inl"
#include "ops/cpu/body/x86_panel.inl"
#include "ops/cpu/body/avx2_gemm.inl"
#include "ops/cpu/body/x86_panel_rows.inl"
#include "ops/cpu/body/x86_gemm.inl"
#include "ops/cpu/body/x86_float.inl"
#include "ops/cpu/body/x86_attention.inl"
#include "ops/cpu/body/x86_matmul.inl"
// clang-format on

constexpr Kernels kTable = {
    "avx2", 2, rms_norm, quantize_row, matmul, silu_mul, rope, rotate, to_f16, attend,
};

}  // namespace

const Kernels* kernels_avx2() { return &kTable; }

}  // namespace yunqi
