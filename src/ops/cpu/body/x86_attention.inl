// x86 (AVX2 and FMA): attention over one block of 32 stored tokens. Both products, q K^T and p V,
// are the same small matmul: rows of a against a matrix whose rows are 8-lane vectors.

void load_kv_int8(const KvBlock& block, int64_t head_dim, float* keys, float* values) {
  for (int g = 0; g * kKvGroup < block.tokens; ++g) {
    const __m256 key_scales = _mm256_loadu_ps(block.key_scales[g]);
    for (int64_t i = 0; i < head_dim; ++i) {
      const __m256i codes = _mm256_cvtepi8_epi32(load_quarter(block.keys[g] + i * kKvGroup));
      _mm256_storeu_ps(keys + i * kKvBlock + g * kKvGroup,
                       _mm256_mul_ps(_mm256_cvtepi32_ps(codes), key_scales));
    }
    for (int t = 0; t < kKvGroup && g * kKvGroup + t < block.tokens; ++t) {
      const __m256 scale = _mm256_broadcast_ss(block.value_scales[g] + t);
      float* row = values + (g * kKvGroup + t) * head_dim;
      for (int64_t i = 0; i < head_dim; i += 8) {
        const __m256i codes =
            _mm256_cvtepi8_epi32(load_quarter(block.values[g] + t * head_dim + i));
        _mm256_storeu_ps(row + i, _mm256_mul_ps(_mm256_cvtepi32_ps(codes), scale));
      }
    }
  }
}

template <bool kHalf>
void load_kv_float(const KvBlock& block, int64_t head_dim, float* keys, float* values) {
  const auto load = [](const uint8_t* data, int64_t index) {
    return kHalf ? load_f16x8(data + 2 * index)
                 : _mm256_loadu_ps(reinterpret_cast<const float*>(data) + index);
  };
  for (int g = 0; g * kKvGroup < block.tokens; ++g) {
    for (int64_t i = 0; i < head_dim; ++i) {
      _mm256_storeu_ps(keys + i * kKvBlock + g * kKvGroup, load(block.keys[g], i * kKvGroup));
    }
    const int64_t rest = block.tokens - g * kKvGroup;
    const int64_t count = (rest < kKvGroup ? rest : kKvGroup) * head_dim;
    float* row = values + g * kKvGroup * head_dim;
    for (int64_t i = 0; i < count; i += 8) {
      _mm256_storeu_ps(row + i, load(block.values[g], i));
    }
  }
}

void load_kv(const KvBlock& block, int format, int64_t head_dim, float* keys, float* values) {
  if (format == 0) return load_kv_int8(block, head_dim, keys, values);
  if (format == 1) return load_kv_float<true>(block, head_dim, keys, values);
  load_kv_float<false>(block, head_dim, keys, values);
}

// sums[q][v] += over k: a[q][k] * b[k * stride + 8 v], k in order.
template <int kQueries, int kVectors>
inline void multiply(const float* const (&a)[kQueries], const float* b, int64_t stride,
                     int64_t count, __m256 (&sums)[kQueries][kVectors]) {
  // A copy that nobody else points into, so that it stays in registers.
  __m256 totals[kQueries][kVectors];
#pragma GCC unroll 3
  for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) totals[q][v] = sums[q][v];
  }
  for (int64_t k = 0; k < count; ++k, b += stride) {
    __m256 row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = _mm256_loadu_ps(b + 8 * v);
#pragma GCC unroll 3
    for (int q = 0; q < kQueries; ++q) {
      const __m256 value = _mm256_broadcast_ss(a[q] + k);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        totals[q][v] = _mm256_fmadd_ps(value, row[v], totals[q][v]);
      }
    }
  }
#pragma GCC unroll 3
  for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[q][v] = totals[q][v];
  }
}

// Scores to probabilities relative to the new maximum; returns the factor of what came before.
inline float softmax_step(__m256 (&scores)[4], int tokens, float* state) {
  __m256 seen[4];
  const __m256i limit = _mm256_set1_epi32(tokens);
  const __m256 lowest = _mm256_set1_ps(-__builtin_inff());
  for (int v = 0; v < 4; ++v) {
    const __m256i lane =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * v));
    seen[v] = _mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, lane));
    scores[v] = _mm256_blendv_ps(lowest, scores[v], seen[v]);
  }
  const float block_maximum = tree_max(
      _mm256_max_ps(_mm256_max_ps(scores[0], scores[1]), _mm256_max_ps(scores[2], scores[3])));
  const float maximum = state[0] > block_maximum ? state[0] : block_maximum;
  const float correction = _mm256_cvtss_f32(exp_of(_mm256_set1_ps(state[0] - maximum)));
  for (int v = 0; v < 4; ++v) {
    scores[v] = exp_of(_mm256_sub_ps(scores[v], _mm256_set1_ps(maximum)));
    scores[v] = _mm256_and_ps(scores[v], seen[v]);
  }
  const float sum = tree_sum(
      _mm256_add_ps(_mm256_add_ps(scores[0], scores[1]), _mm256_add_ps(scores[2], scores[3])));
  state[0] = maximum;
  state[1] = state[1] * correction + sum;
  return correction;
}

template <int kQueries, int kVectors>
inline void add_values(const float* const (&probabilities)[kQueries],
                       const float (&corrections)[kQueries], const float* values, int64_t head_dim,
                       const AttentionQuery* queries, int64_t at) {
  __m256 sums[kQueries][kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      sums[q][v] = _mm256_mul_ps(_mm256_loadu_ps(queries[q].out + at + 8 * v),
                                 _mm256_set1_ps(corrections[q]));
    }
  }
  multiply<kQueries, kVectors>(probabilities, values + at, head_dim, queries[0].tokens, sums);
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      _mm256_storeu_ps(queries[q].out + at + 8 * v, sums[q][v]);
    }
  }
}

// Queries that see the same number of the block's tokens.
template <int kQueries>
void attend_some(const float* keys, const float* values, int64_t head_dim,
                 const AttentionQuery* queries) {
  const float* rows[kQueries];
  const float* probabilities[kQueries];
  alignas(32) float scores[kQueries][kKvBlock];
  float corrections[kQueries];
  __m256 sums[kQueries][4];
  const int tokens = queries[0].tokens;
  for (int q = 0; q < kQueries; ++q) {
    rows[q] = queries[q].q;
    probabilities[q] = scores[q];
    for (int v = 0; v < 4; ++v) sums[q][v] = _mm256_setzero_ps();
  }
  multiply<kQueries, 4>(rows, keys, kKvBlock, head_dim, sums);
  for (int q = 0; q < kQueries; ++q) {
    corrections[q] = softmax_step(sums[q], tokens, queries[q].state);
    for (int v = 0; v < 4; ++v) _mm256_store_ps(scores[q] + 8 * v, sums[q][v]);
  }
  int64_t at = 0;
  for (; at + 32 <= head_dim; at += 32) {
    add_values<kQueries, 4>(probabilities, corrections, values, head_dim, queries, at);
  }
  for (; at < head_dim; at += 8) {
    add_values<kQueries, 1>(probabilities, corrections, values, head_dim, queries, at);
  }
}

void attend(const float* keys, const float* values, int64_t head_dim, const AttentionQuery* queries,
            int64_t query_count) {
  for (int64_t n = 0; n < query_count;) {
    int64_t same = 1;
    while (same < 3 && n + same < query_count && queries[n + same].tokens == queries[n].tokens) {
      ++same;
    }
    if (same == 3) attend_some<3>(keys, values, head_dim, queries + n);
    if (same == 2) attend_some<2>(keys, values, head_dim, queries + n);
    if (same == 1) attend_some<1>(keys, values, head_dim, queries + n);
    n += same;
  }
}
