// VNNI, 256 bits wide: the integer dots of a panel's block with some rows.

// The exact dots of one block: kRows rows with kGroups groups.
template <KernelFormat kFormat, int kRows, int kGroups>
inline void panel_dots(const PanelBlock& block, const PanelHalves& halves, const int8_t* x,
                       int64_t x_stride, __m256i (&dots)[kRows][kGroups]) {
  constexpr bool kHalves = layout_of(kFormat).halves;
  constexpr int kRun = kHalves ? kStepsPerBlock / 2 : kStepsPerBlock;
#pragma GCC unroll 2
  for (int run = 0; run < kStepsPerBlock / kRun; ++run) {
    __m256i sums[kRows][kGroups];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm256_setzero_si256();
    }
#pragma GCC unroll 8
    for (int s = run * kRun; s < (run + 1) * kRun; ++s) {
      __m256i w[kGroups];
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) w[g] = load_vector(block.codes[s][g]);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i codes = broadcast_4(x + r * x_stride + 4 * s);
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g) sums[r][g] = add_dots(sums[r][g], w[g], codes);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) {
        const __m256i part =
            kHalves ? _mm256_mullo_epi32(sums[r][g], load_vector(halves.sub[run][g])) : sums[r][g];
        dots[r][g] = run == 0 ? part : _mm256_add_epi32(dots[r][g], part);
      }
    }
  }
}
