// x86: integer matmul for many rows. Two groups of weights are unpacked once per panel of K into
// bytes that stay in the first-level cache, then meet all rows. Shared by AVX2 and AVX-512.

constexpr int kPanelBlocks = 32;
constexpr int kPanelGroups = 2;

// One block of a panel, for `kPanelGroups` groups side by side.
struct alignas(64) PanelBlock {
  uint8_t codes[kStepsPerBlock][kPanelGroups][kStepBytes];
  float scale[kPanelGroups][kLanes];
  float minimum[kPanelGroups][kLanes];
};
struct alignas(64) PanelHalves {
  int16_t sub[2][kPanelGroups][2 * kLanes];  // as widen_sub_scales gives them
  int16_t offset[kPanelGroups][2 * kLanes];
  int16_t minimums[kPanelGroups][2 * kLanes];
};
static_assert(kPanelBlocks * (sizeof(PanelBlock) + sizeof(PanelHalves)) <= kMatmulScratch);

// The packed bytes of the next panel, fetched a little with every block of this one: else the rows
// would wait for memory at each unpacking.
struct Ahead {
  const uint8_t* at = nullptr;
  const uint8_t* end = nullptr;
  size_t next_group = 0;  // the second group's bytes are this much further
  int lines = 0;          // of 64 bytes, per block

  void fetch() {
    for (int i = 0; i < lines && at < end; ++i, at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(at + next_group), _MM_HINT_T1);
    }
  }
};

struct Panel {
  PanelBlock* blocks;
  PanelHalves* halves;
  Ahead* ahead;
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
