// The AVX-VNNI table for machines without it: the same source, with its one instruction simulated
// on AVX2. Exports kernels_avxvnni_simulated() to vnni_test.cc; compiled with AVX2's flags.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace yunqi {
namespace {

// VPDPBUSD: each lane gains four products of unsigned and signed bytes, without saturation. Even
// and odd bytes are widened to 16 bits apart.
__m256i simulated_dpbusd(__m256i sum, __m256i unsigned_bytes, __m256i signed_bytes) {
  const __m256i even_unsigned = _mm256_and_si256(unsigned_bytes, _mm256_set1_epi16(0xff));
  const __m256i odd_unsigned = _mm256_srli_epi16(unsigned_bytes, 8);
  const __m256i even_signed = _mm256_srai_epi16(_mm256_slli_epi16(signed_bytes, 8), 8);
  const __m256i odd_signed = _mm256_srai_epi16(signed_bytes, 8);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even_unsigned, even_signed));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(odd_unsigned, odd_signed));
}

}  // namespace
}  // namespace yunqi

#undef _mm256_dpbusd_avx_epi32  // itself a macro in some compilers
#define _mm256_dpbusd_avx_epi32 simulated_dpbusd
#define kernels_avxvnni kernels_avxvnni_simulated
#include "ops/cpu/kernels_avxvnni.cc"
