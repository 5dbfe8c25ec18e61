// x86: integer matmul for one to four rows, where reading the weights is the cost. Lanes are the
// eight outputs of a group.

// Far enough to hide memory, near enough to stay in the first-level cache.
constexpr size_t kPrefetchBytes = 2048;

template <KernelFormat kFormat, int kRows>
void gemv(const MatmulArgs& args) {
  constexpr Layout kLayout = layout_of(kFormat);
  const int64_t blocks = args.columns / kBlock;
  const int64_t units = blocks / kLayout.blocks_per_unit();
  for (int64_t g = 0; g < args.group_count; ++g) {
    const uint8_t* at = args.groups + static_cast<size_t>(g) * args.group_bytes;
    __m256 sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = _mm256_setzero_ps();
    int64_t block = 0;
    for (int64_t u = 0; u < units; ++u) {
      const __m256 d = load_f16x8(at);
      const __m256 m = kLayout.minimum ? load_f16x8(at + 16) : _mm256_setzero_ps();
      at += kLayout.header_bytes();
      for (int i = 0; i < kLayout.blocks_per_unit(); ++i, ++block) {
        for (size_t line = 0; line < kLayout.block_bytes(); line += 64) {
          _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetchBytes + line), _MM_HINT_T0);
        }
        const BlockScales scales = load_scales<kFormat>(d, m, at);
        __m256i steps[kStepsPerBlock];
        unpack_codes<kLayout.bits>(at + kLayout.code_offset(), steps);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          const int64_t at_block = r * blocks + block;
          const __m256i dot =
              block_dot<kFormat>(steps, scales.sub, args.q.codes + at_block * kBlock);
          sums[r] = add_block<kFormat>(sums[r], dot, scales, args.q.blocks[at_block]);
        }
        at += kLayout.block_bytes();
      }
    }
    for (int r = 0; r < kRows; ++r) {
      _mm256_storeu_ps(args.tile + r * args.tile_stride + g * kLanes, sums[r]);
    }
  }
}
