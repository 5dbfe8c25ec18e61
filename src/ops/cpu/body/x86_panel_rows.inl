// x86, 256 bits wide: a panel against rows, four rows by two groups of eight outputs at a time.
// panel_dots() is the ISA's.

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
