// The AVX-512 table for machines without it: the same source, with the wide instructions simulated
// on AVX2. Exports kernels_avx512_simulated() to vnni_test.cc; compiled with AVX2's flags.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace yunqi {
namespace {

// A wide register as two halves.
struct WideInts {
  __m256i half[2];
};
struct WideFloats {
  __m256 half[2];
};

template <typename Wide, typename Each>
Wide each_half(Each each) {
  return {{each(0), each(1)}};
}
WideInts load_ints(const void* p) {
  return each_half<WideInts>(
      [p](int i) { return _mm256_load_si256(static_cast<const __m256i*>(p) + i); });
}
WideFloats load_floats(const void* p) {
  return each_half<WideFloats>(
      [p](int i) { return _mm256_loadu_ps(static_cast<const float*>(p) + 8 * i); });
}
void store_floats(float* p, WideFloats v) {
  _mm256_storeu_ps(p, v.half[0]);
  _mm256_storeu_ps(p + 8, v.half[1]);
}
WideInts set_ints(int value) { return {{_mm256_set1_epi32(value), _mm256_set1_epi32(value)}}; }
WideFloats set_floats(float value) { return {{_mm256_set1_ps(value), _mm256_set1_ps(value)}}; }
WideInts pair_dots(WideInts a, WideInts b) {
  return each_half<WideInts>([&](int i) { return _mm256_madd_epi16(a.half[i], b.half[i]); });
}
WideInts add_ints(WideInts a, WideInts b) {
  return each_half<WideInts>([&](int i) { return _mm256_add_epi32(a.half[i], b.half[i]); });
}
WideInts subtract_ints(WideInts a, WideInts b) {
  return each_half<WideInts>([&](int i) { return _mm256_sub_epi32(a.half[i], b.half[i]); });
}
WideInts multiply_ints(WideInts a, WideInts b) {
  return each_half<WideInts>([&](int i) { return _mm256_mullo_epi32(a.half[i], b.half[i]); });
}
WideInts shift_ints(WideInts a, int count) {
  return each_half<WideInts>([&](int i) { return _mm256_slli_epi32(a.half[i], count); });
}
WideFloats to_floats(WideInts a) {
  return each_half<WideFloats>([&](int i) { return _mm256_cvtepi32_ps(a.half[i]); });
}
WideFloats multiply_floats(WideFloats a, WideFloats b) {
  return each_half<WideFloats>([&](int i) { return _mm256_mul_ps(a.half[i], b.half[i]); });
}
WideFloats fused_add(WideFloats a, WideFloats b, WideFloats c) {
  return each_half<WideFloats>(
      [&](int i) { return _mm256_fmadd_ps(a.half[i], b.half[i], c.half[i]); });
}
WideFloats fused_subtract(WideFloats a, WideFloats b, WideFloats c) {
  return each_half<WideFloats>(
      [&](int i) { return _mm256_fnmadd_ps(a.half[i], b.half[i], c.half[i]); });
}
// VPDPBUSD: each lane gains four products of unsigned and signed bytes, without saturation.
__m256i dot_bytes(__m256i sum, __m256i unsigned_bytes, __m256i signed_bytes) {
  alignas(32) int32_t sums[8];
  alignas(32) uint8_t a[32];
  alignas(32) int8_t b[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), sum);
  _mm256_store_si256(reinterpret_cast<__m256i*>(a), unsigned_bytes);
  _mm256_store_si256(reinterpret_cast<__m256i*>(b), signed_bytes);
  for (int i = 0; i < 32; ++i) sums[i / 4] += int{a[i]} * int{b[i]};
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(sums));
}
WideInts dot_bytes(WideInts sum, WideInts unsigned_bytes, WideInts signed_bytes) {
  return each_half<WideInts>(
      [&](int i) { return dot_bytes(sum.half[i], unsigned_bytes.half[i], signed_bytes.half[i]); });
}
__m256 low_half(WideFloats v) { return v.half[0]; }
WideFloats from_low_half(__m256 v) { return {{v, _mm256_setzero_ps()}}; }

}  // namespace
}  // namespace yunqi

#define __m512i WideInts
#define __m512 WideFloats
#undef _mm256_dpbusd_epi32  // itself a macro in some compilers
#define _mm256_dpbusd_epi32 dot_bytes
#define _mm512_dpbusd_epi32 dot_bytes
#define _mm512_load_si512 load_ints
#define _mm512_load_ps load_floats
#define _mm512_loadu_ps load_floats
#define _mm512_storeu_ps store_floats
#define _mm512_set1_epi32 set_ints
#define _mm512_set1_ps set_floats
#define _mm512_setzero_si512() set_ints(0)
#define _mm512_setzero_ps() set_floats(0.0f)
#define _mm512_madd_epi16 pair_dots
#define _mm512_add_epi32 add_ints
#define _mm512_sub_epi32 subtract_ints
#define _mm512_mullo_epi32 multiply_ints
#define _mm512_slli_epi32 shift_ints
#define _mm512_cvtepi32_ps to_floats
#define _mm512_mul_ps multiply_floats
#define _mm512_fmadd_ps fused_add
#define _mm512_fnmadd_ps fused_subtract
#define _mm512_castps512_ps256 low_half
#define _mm512_castps256_ps512 from_low_half
#define kernels_avx512 kernels_avx512_simulated
#include "ops/cpu/kernels_avx512.cc"
