// VNNI, 256 bits wide (AVX-512 and AVX-VNNI): the integer dot of one block, four products a lane
// per instruction, which is the table's add_dots().

// int8 codes become unsigned; the offset comes off with the sum of the activations.
constexpr int kInt8Offset = 128;

// Sub-scales of one half as int32.
inline __m256i widen_sub_scales(const uint8_t* eight) {
  return _mm256_cvtepi8_epi32(load_quarter(eight));
}

// The exact dot of one block with 32 activation codes. `sub` are the integer sub-scales of halves.
template <KernelFormat kFormat>
inline __m256i block_dot(const __m256i (&steps)[kStepsPerBlock], const __m256i (&sub)[2],
                         const int8_t* x) {
  __m256i halves[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
#pragma GCC unroll 8
  for (int s = 0; s < kStepsPerBlock; ++s) {
    halves[s / 4] = add_dots(halves[s / 4], steps[s], broadcast_4(x + 4 * s));
  }
  if constexpr (layout_of(kFormat).halves) {
    halves[0] = _mm256_mullo_epi32(halves[0], sub[0]);
    halves[1] = _mm256_mullo_epi32(halves[1], sub[1]);
  }
  return _mm256_add_epi32(halves[0], halves[1]);
}
