// AVX2: a panel against rows, four rows by two groups of eight outputs at a time.

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

template <KernelFormat kFormat, int kRows, int kGroups>
void panel_rows(const MatmulArgs& args, const Panel& panel, int64_t begin, int64_t count,
                int64_t row, float* tile) {
  constexpr Layout kLayout = layout_of(kFormat);
  const int64_t blocks = args.columns / kBlock;
  const int8_t* codes = args.q.codes + (row * blocks + begin) * kBlock;
  const BlockScale* x = args.q.blocks + row * blocks + begin;
  __m256 sums[kRows][kGroups];
  for (int r = 0; r < kRows; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      sums[r][g] = begin == 0 ? _mm256_setzero_ps()
                              : _mm256_loadu_ps(tile + r * args.tile_stride + g * kLanes);
    }
  }
  for (int64_t b = 0; b < count; ++b) {
    panel.ahead->fetch();
    const PanelBlock& block = panel.blocks[b];
    const PanelHalves& halves = panel.halves[b];
    __m256i dots[kRows][kGroups];
    panel_dots<kFormat, kRows, kGroups>(block, halves, codes + b * kBlock, args.columns, dots);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      BlockScales scales;
      scales.scale = _mm256_load_ps(block.scale[g]);
      if constexpr (kLayout.minimum) scales.minimum = _mm256_load_ps(block.minimum[g]);
      if constexpr (kLayout.halves) scales.offset = load_vector(halves.offset[g]);
      if constexpr (kLayout.halves && kLayout.minimum) {
        scales.minimums = load_vector(halves.minimums[g]);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r][g] = add_block<kFormat>(sums[r][g], dots[r][g], scales, x[r * blocks + b]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      _mm256_storeu_ps(tile + r * args.tile_stride + g * kLanes, sums[r][g]);
    }
  }
}

template <KernelFormat kFormat, int kGroups>
void panel_all_rows(const MatmulArgs& args, const Panel& panel, int64_t begin, int64_t count,
                    float* tile) {
  int64_t row = 0;
  for (; row + 4 <= args.rows; row += 4) {
    panel_rows<kFormat, 4, kGroups>(args, panel, begin, count, row, tile + row * args.tile_stride);
  }
  float* rest = tile + row * args.tile_stride;
  switch (args.rows - row) {
    case 3:
      return panel_rows<kFormat, 3, kGroups>(args, panel, begin, count, row, rest);
    case 2:
      return panel_rows<kFormat, 2, kGroups>(args, panel, begin, count, row, rest);
    case 1:
      return panel_rows<kFormat, 1, kGroups>(args, panel, begin, count, row, rest);
    default:
      return;
  }
}
