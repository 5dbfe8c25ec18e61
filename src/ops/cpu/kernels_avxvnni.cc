// The kernel table for AVX-VNNI, the 256-bit form of processors without AVX-512 (Alder Lake and
// later). It gives the bits of the AVX2 table: the integer dots are exact in both, and the float
// sums are the same. Compiled with these flags, so nothing here may be seen from other files but
// the one function that returns the table.
#include <immintrin.h>

#include "ops/cpu/kernels.h"

namespace yunqi {
namespace {

// Four products of unsigned and signed bytes to each sum.
inline __m256i add_dots(__m256i sums, __m256i unsigned_bytes, __m256i signed_bytes) {
  return _mm256_dpbusd_avx_epi32(sums, unsigned_bytes, signed_bytes);
}

// In this order: later ones use earlier ones.
// clang-format off
#include "ops/cpu/body/layout.inl"
#include "ops/cpu/body/x86_vector.inl"
#include "ops/cpu/body/vnni_dot.inl"
#include "ops/cpu/body/x86_blocks.inl"
#include "ops/cpu/body/x86_gemv.inl"
#include "ops/cpu/body/x86_panel.inl"
#include "ops/cpu/body/vnni_gemm.inl"
#include "ops/cpu/body/x86_panel_rows.inl"
#include "ops/cpu/body/x86_gemm.inl"
#include "ops/cpu/body/x86_float.inl"
#include "ops/cpu/body/x86_attention.inl"
#include "ops/cpu/body/x86_matmul.inl"
// clang-format on

constexpr Kernels kTable = {
    "avxvnni", 2, rms_norm, quantize_row, matmul, silu_mul, rope, rotate, to_f16, attend,
};

}  // namespace

const Kernels* kernels_avxvnni() { return &kTable; }

}  // namespace yunqi
