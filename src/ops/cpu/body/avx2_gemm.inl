// AVX2: integer matmul for many rows. Two groups of weights are unpacked once per panel of K into
// bytes that stay in the first-level cache, and meet the rows four at a time.

constexpr int kPanelBlocks = 32;
constexpr int kPanelGroups = 2;

// One block of a panel, for `kPanelGroups` groups side by side.
struct alignas(32) PanelBlock {
  uint8_t codes[kStepsPerBlock][kPanelGroups][kStepBytes];
  float scale[kPanelGroups][kLanes];
  float minimum[kPanelGroups][kLanes];
};
struct alignas(32) PanelHalves {
  int16_t sub[2][kPanelGroups][2 * kLanes];
  int16_t offset[kPanelGroups][2 * kLanes];
  int16_t minimums[kPanelGroups][2 * kLanes];
};
static_assert(kPanelBlocks * (sizeof(PanelBlock) + sizeof(PanelHalves)) <= kMatmulScratch);

struct Panel {
  PanelBlock* blocks;
  PanelHalves* halves;
};

inline void store_vector(void* p, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
inline __m256i load_vector(const void* p) {
  return _mm256_load_si256(static_cast<const __m256i*>(p));
}

// Unpacks blocks [begin, begin + count) of one group; begin is a multiple of a unit.
template <KernelFormat kFormat>
void unpack_panel(const uint8_t* group, int64_t begin, int64_t count, int place, Panel panel) {
  constexpr Layout kLayout = layout_of(kFormat);
  constexpr int kPerUnit = kLayout.blocks_per_unit();
  const uint8_t* at = group + static_cast<size_t>(begin / kPerUnit) * kLayout.unit_bytes();
  for (int64_t b = 0; b < count;) {
    const __m256 d = load_f16x8(at);
    const __m256 m = kLayout.minimum ? load_f16x8(at + 16) : _mm256_setzero_ps();
    at += kLayout.header_bytes();
    for (int i = 0; i < kPerUnit; ++i, ++b, at += kLayout.block_bytes()) {
      PanelBlock& block = panel.blocks[b];
      const BlockScales scales = load_scales<kFormat>(d, m, at);
      __m256i steps[kStepsPerBlock];
      unpack_codes<kLayout.bits>(at + kLayout.code_offset(), steps);
      for (int s = 0; s < kStepsPerBlock; ++s) store_vector(block.codes[s][place], steps[s]);
      _mm256_store_ps(block.scale[place], scales.scale);
      if constexpr (kLayout.minimum) _mm256_store_ps(block.minimum[place], scales.minimum);
      if constexpr (kLayout.halves) {
        PanelHalves& halves = panel.halves[b];
        store_vector(halves.sub[0][place], scales.sub[0]);
        store_vector(halves.sub[1][place], scales.sub[1]);
        store_vector(halves.offset[place], scales.offset);
        if constexpr (kLayout.minimum) store_vector(halves.minimums[place], scales.minimums);
      }
    }
  }
}

// Makes the compiler finish `v` here: left alone, it puts off the additions of a block and spills
// all the products.
inline void settle(__m256i& v) { asm("" : "+x"(v)); }

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

template <KernelFormat kFormat>
void gemm(const MatmulArgs& args) {
  const int64_t blocks = args.columns / kBlock;
  const Panel panel{
      reinterpret_cast<PanelBlock*>(args.scratch),
      reinterpret_cast<PanelHalves*>(args.scratch + kPanelBlocks * sizeof(PanelBlock))};
  for (int64_t g = 0; g < args.group_count; g += kPanelGroups) {
    const int64_t groups =
        args.group_count - g < kPanelGroups ? args.group_count - g : kPanelGroups;
    float* tile = args.tile + g * kLanes;
    for (int64_t begin = 0; begin < blocks; begin += kPanelBlocks) {
      const int64_t count = blocks - begin < kPanelBlocks ? blocks - begin : kPanelBlocks;
      for (int64_t i = 0; i < groups; ++i) {
        unpack_panel<kFormat>(args.groups + static_cast<size_t>(g + i) * args.group_bytes, begin,
                              count, static_cast<int>(i), panel);
      }
      if (groups == kPanelGroups) {
        panel_all_rows<kFormat, kPanelGroups>(args, panel, begin, count, tile);
      } else {
        panel_all_rows<kFormat, 1>(args, panel, begin, count, tile);
      }
    }
  }
}
