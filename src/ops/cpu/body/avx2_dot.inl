// AVX2: the integer dot of one block. Products of unsigned and signed bytes are summed in pairs,
// and pairs as far as int16 reaches.

// int8 codes stay signed: their sign moves to the activations.
constexpr int kInt8Offset = 0;

// Sub-scales of both halves as int16: each lane's value twice, for multiplying pair sums.
inline __m256i widen_sub_scales(const uint8_t* eight) {
  const __m128i bytes = load_quarter(eight);
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}
// The exact dot of one block with 32 activation codes. `sub` are the integer sub-scales of halves.
template <KernelFormat kFormat>
inline __m256i block_dot(const __m256i (&steps)[kStepsPerBlock], const __m256i (&sub)[2],
                         const int8_t* x) {
  constexpr Layout kLayout = layout_of(kFormat);
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (kLayout.bits == 8) {
    __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int s = 0; s < kStepsPerBlock; ++s) {
      const __m256i signed_x = _mm256_sign_epi8(broadcast_4(x + 4 * s), steps[s]);
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(steps[s]), signed_x);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
      settle(sum);
    }
    return sum;
  }
  // Pair sums fit int16 over eight steps of 4-bit, four of 5-bit and two of 6-bit codes.
  __m256i pairs[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    pairs[p] = _mm256_add_epi16(_mm256_maddubs_epi16(steps[2 * p], broadcast_4(x + 8 * p)),
                                _mm256_maddubs_epi16(steps[2 * p + 1], broadcast_4(x + 8 * p + 4)));
    settle(pairs[p]);
  }
  if constexpr (kLayout.bits == 6) {
    return _mm256_add_epi32(
        _mm256_add_epi32(_mm256_madd_epi16(pairs[0], sub[0]), _mm256_madd_epi16(pairs[1], sub[0])),
        _mm256_add_epi32(_mm256_madd_epi16(pairs[2], sub[1]), _mm256_madd_epi16(pairs[3], sub[1])));
  }
  const __m256i first = _mm256_add_epi16(pairs[0], pairs[1]);
  const __m256i second = _mm256_add_epi16(pairs[2], pairs[3]);
  if constexpr (kLayout.halves) {
    return _mm256_add_epi32(_mm256_madd_epi16(first, sub[0]), _mm256_madd_epi16(second, sub[1]));
  } else if constexpr (kLayout.bits == 5) {
    return _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
  } else {
    return _mm256_madd_epi16(_mm256_add_epi16(first, second), ones);
  }
}
