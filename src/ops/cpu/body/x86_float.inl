// x86 (AVX2 and FMA): matmul with float, 16-bit float or bfloat16 weights. Sums over 32 of K by
// fused multiply-adds, added up in order: long rows keep a small rounding error.

template <KernelFormat kFormat>
inline __m256 load_weights(const uint8_t* group, int64_t k) {
  if constexpr (kFormat == KernelFormat::kF32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(group) + k * kLanes);
  } else if constexpr (kFormat == KernelFormat::kF16) {
    return load_f16x8(group + 2 * k * kLanes);
  } else {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(group + 2 * k * kLanes)), 16));
  }
}

template <KernelFormat kFormat, int kRows, int kGroups>
void float_tile(const MatmulArgs& args, int64_t row, int64_t group) {
  const uint8_t* weights = args.groups + static_cast<size_t>(group) * args.group_bytes;
  const float* x = args.x + row * args.x_stride;
  __m256 totals[kRows][kGroups];
  for (int r = 0; r < kRows; ++r) {
    for (int g = 0; g < kGroups; ++g) totals[r][g] = _mm256_setzero_ps();
  }
  for (int64_t begin = 0; begin < args.columns; begin += kBlock) {
    __m256 sums[kRows][kGroups];
    for (int r = 0; r < kRows; ++r) {
      for (int g = 0; g < kGroups; ++g) sums[r][g] = _mm256_setzero_ps();
    }
    for (int64_t k = begin; k < begin + kBlock; ++k) {
      __m256 w[kGroups];
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        w[g] = load_weights<kFormat>(weights + static_cast<size_t>(g) * args.group_bytes, k);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256 value = _mm256_broadcast_ss(x + r * args.x_stride + k);
#pragma GCC unroll 4
        for (int g = 0; g < kGroups; ++g) {
          sums[r][g] = _mm256_fmadd_ps(w[g], value, sums[r][g]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int g = 0; g < kGroups; ++g) {
        totals[r][g] = _mm256_add_ps(totals[r][g], sums[r][g]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      _mm256_storeu_ps(args.tile + (row + r) * args.tile_stride + (group + g) * kLanes,
                       totals[r][g]);
    }
  }
}

template <KernelFormat kFormat, int kRows>
void float_rows(const MatmulArgs& args, int64_t row) {
  constexpr int kGroups = kRows <= 2 ? 4 : 2;
  int64_t g = 0;
  for (; g + kGroups <= args.group_count; g += kGroups) {
    float_tile<kFormat, kRows, kGroups>(args, row, g);
  }
  for (; g < args.group_count; ++g) float_tile<kFormat, kRows, 1>(args, row, g);
}

template <KernelFormat kFormat>
void matmul_float(const MatmulArgs& args) {
  int64_t row = 0;
  for (; row + 4 <= args.rows; row += 4) float_rows<kFormat, 4>(args, row);
  switch (args.rows - row) {
    case 3:
      return float_rows<kFormat, 3>(args, row);
    case 2:
      return float_rows<kFormat, 2>(args, row);
    case 1:
      return float_rows<kFormat, 1>(args, row);
    default:
      return;
  }
}
