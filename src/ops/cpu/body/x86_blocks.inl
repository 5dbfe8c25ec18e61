// x86: one block of 32 of a packed group: its codes, its scales, and what its integer dot adds to
// the eight outputs. Shared by AVX2 and AVX-512, whose results are therefore the same bits.
// Before it comes a dot file: kInt8Offset (added to int8 codes to make them unsigned, or 0),
// widen_sub_scales() and block_dot().

// Codes of a block as eight steps of unsigned bytes (signed for 8 bits).
template <int kBits>
inline void unpack_codes(const uint8_t* codes, __m256i (&steps)[kStepsPerBlock]) {
  if constexpr (kBits == 8) {
#pragma GCC unroll 8
    for (int s = 0; s < kStepsPerBlock; ++s) {
      steps[s] = load_bytes(codes + kStepBytes * s);
      if constexpr (kInt8Offset == 128) {
        steps[s] = _mm256_xor_si256(steps[s], _mm256_set1_epi8(-128));
      }
    }
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

// (first half, second half) of each lane, to meet a pair of half sums.
inline __m256i pair_scales(const uint8_t* sixteen) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(load_quarter(sixteen), load_quarter(sixteen + 8)));
}

// What is subtracted from the codes of unpack_codes.
constexpr int offset_of(KernelFormat format) {
  return layout_of(format).bits == 8 ? kInt8Offset : layout_of(format).offset;
}
constexpr int log2_of(int power) { return power <= 1 ? 0 : 1 + log2_of(power / 2); }

// What one block of a group needs beside its codes; the meaning is that of kernels.h.
struct BlockScales {
  __m256 scale;      // of the integer dot
  __m256 minimum;    // of the scaled sum, or of the pair dot for halves
  __m256i sub[2];    // halves: sub-scales, widened for block_dot
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
    s.sub[0] = widen_sub_scales(block);
    s.sub[1] = widen_sub_scales(block + 8);
    s.offset = _mm256_slli_epi16(pair_scales(block), log2_of(offset_of(kFormat)));
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
  if constexpr (offset_of(kFormat) != 0 && kLayout.halves) {
    dot = _mm256_sub_epi32(dot, _mm256_madd_epi16(s.offset, broadcast_4(x.half_sums)));
  } else if constexpr (offset_of(kFormat) != 0) {
    dot =
        _mm256_sub_epi32(dot, _mm256_slli_epi32(broadcast_4(&x.sum), log2_of(offset_of(kFormat))));
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
