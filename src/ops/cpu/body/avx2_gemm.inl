// AVX2: the integer dots of a panel's block with some rows.

// The exact dots of one block: kRows rows with kGroups groups.
template <KernelFormat kFormat, int kRows, int kGroups>
inline void panel_dots(const PanelBlock& block, const PanelHalves& halves, const int8_t* x,
                       int64_t x_stride, __m256i (&dots)[kRows][kGroups]) {
  constexpr Layout kLayout = layout_of(kFormat);
  // Steps whose pair sums fit int16 together.
  constexpr int kRun = kLayout.bits == 8                     ? 1
                       : kLayout.bits == 6                   ? 2
                       : kLayout.bits == 5 || kLayout.halves ? 4
                                                             : 8;
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int run = 0; run < kStepsPerBlock / kRun; ++run) {
    __m256i pairs[kRows][kGroups];
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) {
      const int s = run * kRun + i;
      __m256i w[kGroups];
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) w[g] = load_vector(block.codes[s][g]);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i codes = broadcast_4(x + r * x_stride + 4 * s);
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g) {
          const __m256i product =
              kLayout.bits == 8
                  ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[g]), _mm256_sign_epi8(codes, w[g]))
                  : _mm256_maddubs_epi16(w[g], codes);
          pairs[r][g] = i == 0 ? product : _mm256_add_epi16(pairs[r][g], product);
          settle(pairs[r][g]);
        }
      }
    }
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      const __m256i factor = kLayout.halves ? load_vector(halves.sub[run * kRun / 4][g]) : ones;
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i sum = _mm256_madd_epi16(pairs[r][g], factor);
        dots[r][g] = run == 0 ? sum : _mm256_add_epi32(dots[r][g], sum);
        settle(dots[r][g]);
      }
    }
  }
}
