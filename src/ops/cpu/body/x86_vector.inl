// x86 (AVX2 and FMA): vector helpers, and the operations on single rows.

inline __m256i load_bytes(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline __m128i load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m128i load_quarter(const void* p) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(p));
}
// Eight 16-bit floats.
inline __m256 load_f16x8(const void* p) { return _mm256_cvtph_ps(load_half(p)); }
// Four bytes in every lane.
inline __m256i broadcast_4(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm256_set1_epi32(word);
}

// Makes the compiler finish `v` here: left alone, it puts off the additions of a block and spills
// all the products.
inline void settle(__m256i& v) { asm("" : "+x"(v)); }

// Sums and maxima by a fixed tree: lanes 4 apart, then 2, then 1.
inline float tree_sum(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float tree_max(__m256 v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

// e^x = 2^n * p(r), n = round(x / ln 2); relative error below 2e-7; 0 below -87.
inline __m256 exp_of(__m256 x) {
  const __m256 in_range = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_GE_OQ);
  x = _mm256_min_ps(x, _mm256_set1_ps(88.0f));
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
  const __m256i power =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_and_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(power)), in_range);
}

void rms_norm(const float* x, const float* weight, float epsilon, int64_t columns, float* out) {
  __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                    _mm256_setzero_ps()};
  int64_t k = 0;
  for (; k + 32 <= columns; k += 32) {
    for (int j = 0; j < 4; ++j) {
      const __m256 v = _mm256_loadu_ps(x + k + 8 * j);
      sums[j] = _mm256_fmadd_ps(v, v, sums[j]);
    }
  }
  for (; k + 8 <= columns; k += 8) {
    const __m256 v = _mm256_loadu_ps(x + k);
    sums[0] = _mm256_fmadd_ps(v, v, sums[0]);
  }
  float sum =
      tree_sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  for (; k < columns; ++k) sum += x[k] * x[k];
  const float scale = 1.0f / __builtin_sqrtf(sum / static_cast<float>(columns) + epsilon);
  const __m256 scales = _mm256_set1_ps(scale);
  for (k = 0; k + 8 <= columns; k += 8) {
    const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + k), scales);
    _mm256_storeu_ps(out + k, _mm256_mul_ps(v, _mm256_loadu_ps(weight + k)));
  }
  for (; k < columns; ++k) out[k] = x[k] * scale * weight[k];
}

void quantize_row(const float* x, int64_t columns, const QuantizedRows& out) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (int64_t b = 0; b < columns / kBlock; ++b) {
    __m256 v[4];
    for (int j = 0; j < 4; ++j) v[j] = _mm256_loadu_ps(x + b * kBlock + 8 * j);
    const __m256 largest_of = _mm256_max_ps(
        _mm256_max_ps(_mm256_and_ps(v[0], magnitude), _mm256_and_ps(v[1], magnitude)),
        _mm256_max_ps(_mm256_and_ps(v[2], magnitude), _mm256_and_ps(v[3], magnitude)));
    const float largest = tree_max(largest_of);
    const float scale = largest / 127.0f;
    const __m256 inverse = _mm256_set1_ps(largest > 0.0f ? 127.0f / largest : 0.0f);
    __m256i codes[4];
    for (int j = 0; j < 4; ++j) {
      // The order of operands turns NaN into a number within the codes' range.
      __m256 scaled = _mm256_max_ps(_mm256_mul_ps(v[j], inverse), _mm256_set1_ps(-127.0f));
      scaled = _mm256_min_ps(scaled, _mm256_set1_ps(127.0f));
      codes[j] = _mm256_cvtps_epi32(scaled);
    }
    const __m256i packed =
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]),
                                                       _mm256_packs_epi32(codes[2], codes[3])),
                                    in_order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.codes + b * kBlock), packed);
    const __m256i sums =
        _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), packed), _mm256_set1_epi16(1));
    __m128i halves =
        _mm_hadd_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    halves = _mm_hadd_epi32(halves, halves);
    const int first = _mm_extract_epi32(halves, 0), second = _mm_extract_epi32(halves, 1);
    out.blocks[b] = {scale,
                     scale * static_cast<float>(first + second),
                     first + second,
                     {static_cast<int16_t>(first), static_cast<int16_t>(second)}};
  }
}

void silu_mul(const float* gate, const float* up, int64_t count, float* y) {
  const auto eight = [](__m256 g, __m256 u) {
    const __m256 below =
        _mm256_add_ps(_mm256_set1_ps(1.0f), exp_of(_mm256_sub_ps(_mm256_setzero_ps(), g)));
    return _mm256_mul_ps(_mm256_div_ps(g, below), u);
  };
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(y + i, eight(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
  }
  if (i == count) return;
  float rest[3][8] = {};
  for (int64_t j = 0; i + j < count; ++j) {
    rest[0][j] = gate[i + j];
    rest[1][j] = up[i + j];
  }
  _mm256_storeu_ps(rest[2], eight(_mm256_loadu_ps(rest[0]), _mm256_loadu_ps(rest[1])));
  for (int64_t j = 0; i + j < count; ++j) y[i + j] = rest[2][j];
}

void rope(float* x, const float* cosines, const float* sines, int64_t half) {
  int64_t i = 0;
  for (; i + 8 <= half; i += 8) {
    const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + half);
    const __m256 c = _mm256_loadu_ps(cosines + i), s = _mm256_loadu_ps(sines + i);
    _mm256_storeu_ps(x + i, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
    _mm256_storeu_ps(x + i + half, _mm256_add_ps(_mm256_mul_ps(b, c), _mm256_mul_ps(a, s)));
  }
  for (; i < half; ++i) {
    const float a = x[i], b = x[i + half];
    x[i] = a * cosines[i] - b * sines[i];
    x[i + half] = b * cosines[i] + a * sines[i];
  }
}

// Butterflies inside a vector, between elements 1, 2 and 4 apart.
inline __m256 rotate_eight(__m256 v) {
  const __m256 odd = _mm256_castsi256_ps(_mm256_setr_epi32(0, -1, 0, -1, 0, -1, 0, -1));
  const __m256 sign = _mm256_set1_ps(-0.0f);
  // a + b where a is, a - b where b is: the swapped vector plus the vector, negated there.
  const auto butterfly = [sign](__m256 x, __m256 swapped, __m256 second) {
    return _mm256_add_ps(swapped, _mm256_xor_ps(x, _mm256_and_ps(second, sign)));
  };
  v = butterfly(v, _mm256_permute_ps(v, 0xb1), odd);
  v = butterfly(v, _mm256_permute_ps(v, 0x4e),
                _mm256_castsi256_ps(_mm256_setr_epi32(0, 0, -1, -1, 0, 0, -1, -1)));
  return butterfly(v, _mm256_permute2f128_ps(v, v, 1),
                   _mm256_castsi256_ps(_mm256_setr_epi32(0, 0, 0, 0, -1, -1, -1, -1)));
}

void rotate(float* x, int64_t count) {
  const __m256 scale = _mm256_set1_ps(1.0f / __builtin_sqrtf(static_cast<float>(count)));
  for (int64_t i = 0; i < count; i += 8) {
    const __m256 v = rotate_eight(_mm256_loadu_ps(x + i));
    _mm256_storeu_ps(x + i, count == 8 ? _mm256_mul_ps(v, scale) : v);
  }
  for (int64_t half = 8; half < count; half *= 2) {
    const __m256 factor = 2 * half == count ? scale : _mm256_set1_ps(1.0f);
    for (int64_t begin = 0; begin < count; begin += 2 * half) {
      for (int64_t i = begin; i < begin + half; i += 8) {
        const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + half);
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_add_ps(a, b), factor));
        _mm256_storeu_ps(x + i + half, _mm256_mul_ps(_mm256_sub_ps(a, b), factor));
      }
    }
  }
}

void to_f16(const float* x, int64_t count, uint16_t* out) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < count; ++i) {
    out[i] = static_cast<uint16_t>(
        _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x[i]), _MM_FROUND_TO_NEAREST_INT), 0));
  }
}
