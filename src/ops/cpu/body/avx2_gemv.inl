// AVX2: integer matmul for one to four rows, where reading the weights is the cost. Lanes are the
// eight outputs of a group.

// Codes of a block as eight steps of unsigned bytes (signed for 8 bits).
template <int kBits>
inline void unpack_codes(const uint8_t* codes, __m256i (&steps)[kStepsPerBlock]) {
  if constexpr (kBits == 8) {
#pragma GCC unroll 8
    for (int s = 0; s < kStepsPerBlock; ++s) steps[s] = load_bytes(codes + kStepBytes * s);
    return;
  }
  const __m256i low_nibble = _mm256_set1_epi8(0x0f);
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const __m256i raw = load_bytes(codes + kStepBytes * v);
    steps[v] = _mm256_and_si256(raw, low_nibble);
    steps[v + 4] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), low_nibble);
  }
  if constexpr (kBits == 5) {
    const __m256i plane = load_bytes(codes + 4 * kStepBytes);
    const __m256i bit = _mm256_set1_epi8(0x10);
#pragma GCC unroll 8
    for (int s = 0; s < kStepsPerBlock; ++s) {
      const __m256i moved =
          s <= 4 ? _mm256_slli_epi16(plane, 4 - s) : _mm256_srli_epi16(plane, s - 4);
      steps[s] = _mm256_or_si256(steps[s], _mm256_and_si256(moved, bit));
    }
  }
  if constexpr (kBits == 6) {
    const __m256i bits = _mm256_set1_epi8(0x30);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i plane = load_bytes(codes + (4 + half) * kStepBytes);
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) {
        const __m256i moved = s == 3   ? _mm256_srli_epi16(plane, 2)
                              : s == 2 ? plane
                                       : _mm256_slli_epi16(plane, 4 - 2 * s);
        steps[4 * half + s] = _mm256_or_si256(steps[4 * half + s], _mm256_and_si256(moved, bits));
      }
    }
  }
}

// Sub-scales of both halves as int16: each lane's value twice, for multiplying pair sums.
inline __m256i duplicate_scales(const uint8_t* eight) {
  const __m128i bytes = load_quarter(eight);
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}
// (first half, second half) of each lane, to meet a pair of half sums.
inline __m256i pair_scales(const uint8_t* sixteen) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(load_quarter(sixteen), load_quarter(sixteen + 8)));
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
    }
    return sum;
  }
  // Pair sums fit int16 over eight steps of 4-bit, four of 5-bit and two of 6-bit codes.
  __m256i pairs[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    pairs[p] = _mm256_add_epi16(_mm256_maddubs_epi16(steps[2 * p], broadcast_4(x + 8 * p)),
                                _mm256_maddubs_epi16(steps[2 * p + 1], broadcast_4(x + 8 * p + 4)));
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

constexpr int log2_of(int power) { return power <= 1 ? 0 : 1 + log2_of(power / 2); }

// What one block of a group needs beside its codes; the meaning is that of kernels.h.
struct BlockScales {
  __m256 scale;      // of the integer dot
  __m256 minimum;    // of the scaled sum, or of the pair dot for halves
  __m256i sub[2];    // halves: duplicated sub-scales
  __m256i offset;    // halves with an offset: offset * sub-scale pairs
  __m256i minimums;  // halves with a minimum: sub-minimum pairs
};

template <KernelFormat kFormat>
inline BlockScales load_scales(__m256 d, __m256 m, const uint8_t* block) {
  constexpr Layout kLayout = layout_of(kFormat);
  BlockScales s;
  s.scale = d;
  s.minimum = m;
  if constexpr (kLayout.halves) {
    s.sub[0] = duplicate_scales(block);
    s.sub[1] = duplicate_scales(block + 8);
    s.offset = _mm256_slli_epi16(pair_scales(block), log2_of(kLayout.offset));
    if constexpr (kLayout.minimum) s.minimums = pair_scales(block + kLayout.sub_bytes());
  } else if constexpr (kLayout.unit_256) {
    s.scale = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_quarter(block))));
    if constexpr (kLayout.minimum) {
      s.minimum = _mm256_mul_ps(
          m, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_quarter(block + kLayout.sub_bytes()))));
    }
  }
  return s;
}

// One block's share of eight outputs of one row.
template <KernelFormat kFormat>
inline __m256 add_block(__m256 sum, __m256i dot, const BlockScales& s, const BlockScale& x) {
  constexpr Layout kLayout = layout_of(kFormat);
  if constexpr (kLayout.offset != 0 && kLayout.halves) {
    dot = _mm256_sub_epi32(dot, _mm256_madd_epi16(s.offset, broadcast_4(x.half_sums)));
  } else if constexpr (kLayout.offset != 0) {
    dot = _mm256_sub_epi32(dot, _mm256_slli_epi32(broadcast_4(&x.sum), log2_of(kLayout.offset)));
  }
  const __m256 x_scale = _mm256_broadcast_ss(&x.scale);
  sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(s.scale, x_scale), sum);
  if constexpr (kLayout.minimum && kLayout.halves) {
    const __m256i pair = _mm256_madd_epi16(s.minimums, broadcast_4(x.half_sums));
    sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(pair), _mm256_mul_ps(s.minimum, x_scale), sum);
  } else if constexpr (kLayout.minimum) {
    sum = _mm256_fnmadd_ps(s.minimum, _mm256_broadcast_ss(&x.scaled_sum), sum);
  }
  return sum;
}

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
