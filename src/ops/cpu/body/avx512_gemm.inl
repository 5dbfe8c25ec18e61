// AVX-512 VNNI: a panel against rows, eight rows by both groups (16 outputs, one register) at a
// time. The same sums in the same order as the 256-bit kernels: the same bits.

inline __m512i broadcast_512(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm512_set1_epi32(word);
}

// One block's share of sixteen outputs of one row.
template <KernelFormat kFormat>
inline __m512 add_panel_block(__m512 sum, __m512i dot, const PanelBlock& block,
                              const PanelHalves& halves, const BlockScale& x) {
  constexpr Layout kLayout = layout_of(kFormat);
  if constexpr (offset_of(kFormat) != 0 && kLayout.halves) {
    const __m512i offset = _mm512_load_si512(halves.offset);
    dot = _mm512_sub_epi32(dot, _mm512_madd_epi16(offset, broadcast_512(x.half_sums)));
  } else if constexpr (offset_of(kFormat) != 0) {
    dot = _mm512_sub_epi32(
        dot, _mm512_slli_epi32(_mm512_set1_epi32(x.sum), log2_of(offset_of(kFormat))));
  }
  const __m512 x_scale = _mm512_set1_ps(x.scale);
  const __m512 scale = _mm512_mul_ps(_mm512_load_ps(block.scale), x_scale);
  sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sum);
  if constexpr (kLayout.minimum && kLayout.halves) {
    const __m512i pair =
        _mm512_madd_epi16(_mm512_load_si512(halves.minimums), broadcast_512(x.half_sums));
    sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(pair),
                           _mm512_mul_ps(_mm512_load_ps(block.minimum), x_scale), sum);
  } else if constexpr (kLayout.minimum) {
    sum = _mm512_fnmadd_ps(_mm512_load_ps(block.minimum), _mm512_set1_ps(x.scaled_sum), sum);
  }
  return sum;
}

// Stores the outputs of the groups there are.
template <int kGroups>
inline void store_outputs(float* out, __m512 sums) {
  if constexpr (kGroups == kPanelGroups) {
    _mm512_storeu_ps(out, sums);
  } else {
    _mm256_storeu_ps(out, _mm512_castps512_ps256(sums));
  }
}
template <int kGroups>
inline __m512 load_outputs(const float* out) {
  if constexpr (kGroups == kPanelGroups) {
    return _mm512_loadu_ps(out);
  } else {
    return _mm512_castps256_ps512(_mm256_loadu_ps(out));
  }
}

template <KernelFormat kFormat, int kRows, int kGroups>
void panel_rows(const MatmulArgs& args, const Panel& panel, int64_t begin, int64_t count,
                int64_t row, float* tile) {
  constexpr bool kHalves = layout_of(kFormat).halves;
  const int64_t blocks = args.columns / kBlock;
  const int8_t* codes = args.q.codes + (row * blocks + begin) * kBlock;
  const BlockScale* x = args.q.blocks + row * blocks + begin;
  __m512 sums[kRows];
  for (int r = 0; r < kRows; ++r) {
    sums[r] = begin == 0 ? _mm512_setzero_ps() : load_outputs<kGroups>(tile + r * args.tile_stride);
  }
  for (int64_t b = 0; b < count; ++b) {
    panel.ahead->fetch();
    const PanelBlock& block = panel.blocks[b];
    const PanelHalves& halves = panel.halves[b];
    __m512i dots[kRows];
#pragma GCC unroll 2
    for (int half = 0; half < (kHalves ? 2 : 1); ++half) {
      constexpr int kSteps = kHalves ? kStepsPerBlock / 2 : kStepsPerBlock;
      __m512i part[kRows];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) part[r] = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int s = half * kSteps; s < (half + 1) * kSteps; ++s) {
        const __m512i w = _mm512_load_si512(block.codes[s]);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          part[r] = _mm512_dpbusd_epi32(
              part[r], w, broadcast_512(codes + r * args.columns + b * kBlock + 4 * s));
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        if constexpr (kHalves) {
          part[r] = _mm512_mullo_epi32(part[r], _mm512_load_si512(halves.sub[half]));
        }
        dots[r] = half == 0 ? part[r] : _mm512_add_epi32(dots[r], part[r]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      sums[r] = add_panel_block<kFormat>(sums[r], dots[r], block, halves, x[r * blocks + b]);
    }
  }
  for (int r = 0; r < kRows; ++r) store_outputs<kGroups>(tile + r * args.tile_stride, sums[r]);
}

template <int kCount>
struct RowCount {
  static constexpr int kValue = kCount;
};

template <KernelFormat kFormat, int kGroups>
void panel_all_rows(const MatmulArgs& args, const Panel& panel, int64_t begin, int64_t count,
                    float* tile) {
  int64_t row = 0;
  const auto some = [&](auto rows) {
    constexpr int kRows = decltype(rows)::kValue;
    for (; row + kRows <= args.rows; row += kRows) {
      panel_rows<kFormat, kRows, kGroups>(args, panel, begin, count, row,
                                          tile + row * args.tile_stride);
    }
  };
  some(RowCount<8>());
  some(RowCount<4>());
  some(RowCount<2>());
  some(RowCount<1>());
}
