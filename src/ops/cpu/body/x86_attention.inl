// x86 (AVX2 and FMA): attention over one block of 32 stored tokens. Both products, q K^T and p V,
// are the same small matmul: rows of a against a matrix whose rows are 8-lane vectors. For few
// queries the matrix is read as stored; for many it is turned into floats once. Same numbers.

// Below this many queries, converting again for each few of them is cheaper than storing floats.
constexpr int64_t kQueriesToLoad = 12;

// Eight stored numbers from `index` on; codes of int8 as they are. A format is a KvFormat.
template <int kFormat>
inline __m256 load_stored(const uint8_t* data, int64_t index) {
  if constexpr (kFormat == 0) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_quarter(data + index)));
  } else if constexpr (kFormat == 1) {
    return load_f16x8(data + 2 * index);
  } else {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(data) + index);
  }
}

// Rows of vectors that multiply() walks: keys are [head_dim] rows of tokens, values [tokens] rows
// of elements. Each is made for some columns of them, and small enough to live in registers.
template <int kFormat, int kVectors>
struct StoredKeyRows {
  const uint8_t* groups[kVectors];
  int64_t element = 0;
  __m256 load(int v) const { return load_stored<kFormat>(groups[v], element * kKvGroup); }
  void next() { ++element; }
};
template <int kFormat>
struct StoredValueRows {
  const KvBlock* block;
  int64_t head_dim, at, token = 0;
  __m256 load(int v) const {
    return load_stored<kFormat>(block->values[token / kKvGroup],
                                token % kKvGroup * head_dim + at + 8 * v);
  }
  void next() { ++token; }
};
struct FloatRows {
  const float* data;
  int64_t stride;
  __m256 load(int v) const { return _mm256_loadu_ps(data + 8 * v); }
  void next() { data += stride; }
};

// A block as it lies in its pages. Int8 codes count as numbers here: their scales and base join
// the scores and the probabilities, once per token instead of once per element.
template <int kFormat>
struct StoredBlock {
  static constexpr bool kCodes = kFormat == 0;
  const KvBlock& block;
  int64_t head_dim;

  // Groups that do not exist are masked later: any memory will do.
  int group_or_first(int group) const { return group * kKvGroup < block.tokens ? group : 0; }
  template <int kVectors>
  StoredKeyRows<kFormat, kVectors> keys(int first_group, int64_t element) const {
    StoredKeyRows<kFormat, kVectors> rows;
    rows.element = element;
    for (int v = 0; v < kVectors; ++v) {
      rows.groups[v] = block.keys[group_or_first(first_group + v)];
    }
    return rows;
  }
  StoredValueRows<kFormat> values(int64_t at) const { return {&block, head_dim, at}; }
  // How many queries meet a row of how many vectors: conversions take registers too.
  static constexpr int kVectorsOfThree = 2;
  static int queries_at_once(int64_t same) {
    return same >= 4 && same != 5 ? 4 : same < 3 ? static_cast<int>(same) : 3;
  }
};
// The same as floats: keys [head_dim][32], values [32][head_dim].
template <int kFormat>
struct LoadedBlock {
  static constexpr bool kCodes = kFormat == 0;
  const KvBlock& block;
  int64_t head_dim;
  const float* key_data;
  const float* value_data;

  template <int kVectors>
  FloatRows keys(int first_group, int64_t element) const {
    return {key_data + element * kKvBlock + first_group * kKvGroup, kKvBlock};
  }
  FloatRows values(int64_t at) const { return {value_data + at, head_dim}; }
  // Threes, and fours where a single one would be left over.
  static constexpr int kVectorsOfThree = 4;
  static int queries_at_once(int64_t same) {
    return same == 4 || same == 8 ? 4 : same < 3 ? static_cast<int>(same) : 3;
  }
};

template <int kFormat>
void load_kv(const KvBlock& block, int64_t head_dim, float* keys, float* values) {
  const StoredBlock<kFormat> stored{block, head_dim};
  for (int g = 0; g * kKvGroup < block.tokens; ++g) {
    auto rows = stored.template keys<1>(g, 0);
    for (int64_t i = 0; i < head_dim; ++i, rows.next()) {
      _mm256_storeu_ps(keys + i * kKvBlock + g * kKvGroup, rows.load(0));
    }
  }
  auto rows = stored.values(0);
  for (int64_t token = 0; token < block.tokens; ++token, rows.next()) {
    for (int64_t i = 0; i < head_dim; i += 8) {
      _mm256_storeu_ps(values + token * head_dim + i, rows.load(static_cast<int>(i / 8)));
    }
  }
}

// sums[q][v] += over k < count: a[q][k] * rows.load(v) of row k, in order.
template <int kQueries, int kVectors, typename Rows>
inline void multiply(const float* const (&a)[kQueries], int64_t count, Rows rows,
                     __m256 (&sums)[kQueries][kVectors]) {
  // A copy that nobody else points into, so that it stays in registers.
  __m256 totals[kQueries][kVectors];
#pragma GCC unroll 4
  for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) totals[q][v] = sums[q][v];
  }
  for (int64_t k = 0; k < count; ++k, rows.next()) {
    __m256 row[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) row[v] = rows.load(v);
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
      const __m256 value = _mm256_broadcast_ss(a[q] + k);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        totals[q][v] = _mm256_fmadd_ps(value, row[v], totals[q][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 8
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

template <int kQueries, int kVectors, typename Rows>
inline void add_values(const float* const (&probabilities)[kQueries],
                       const float (&corrections)[kQueries], const Rows& values,
                       const AttentionQuery* queries, int64_t at) {
  __m256 sums[kQueries][kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      sums[q][v] = _mm256_mul_ps(_mm256_loadu_ps(queries[q].out + at + 8 * v),
                                 _mm256_set1_ps(corrections[q]));
    }
  }
  multiply<kQueries, kVectors>(probabilities, queries[0].tokens, values, sums);
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      _mm256_storeu_ps(queries[q].out + at + 8 * v, sums[q][v]);
    }
  }
}

// q . base, which is in every score of an int8 block.
template <typename Block>
inline __m256 base_score(const Block& from, const float* q) {
  __m256 sum = _mm256_setzero_ps();
  for (int64_t i = 0; i < from.head_dim; i += 8) {
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), load_f16x8(from.block.base + i), sum);
  }
  return _mm256_set1_ps(tree_sum(sum));
}

// all[q][v] = q K^T. Int8: q . base, then each half's q . codes times the tokens' scales of it.
template <int kQueries, int kVectors, typename Block>
inline void score_keys(const Block& block, const float* const (&rows)[kQueries],
                       __m256 (&all)[kQueries][4]) {
  constexpr int kParts = Block::kCodes ? 2 : 1;
  const int64_t count = block.head_dim / kParts;
  if constexpr (Block::kCodes) {
    for (int q = 0; q < kQueries; ++q) {
      const __m256 base = base_score(block, rows[q]);
      for (int v = 0; v < 4; ++v) all[q][v] = base;
    }
  }
  for (int part = 0; part < kParts; ++part) {
    const float* from[kQueries];
    for (int q = 0; q < kQueries; ++q) from[q] = rows[q] + part * count;
#pragma GCC unroll 2
    for (int at = 0; at < 4; at += kVectors) {
      __m256 sums[kQueries][kVectors];
      for (int q = 0; q < kQueries; ++q) {
        for (int v = 0; v < kVectors; ++v) sums[q][v] = _mm256_setzero_ps();
      }
      multiply<kQueries, kVectors>(from, count, block.template keys<kVectors>(at, part * count),
                                   sums);
      for (int v = 0; v < kVectors; ++v) {
        if constexpr (Block::kCodes) {
          // Groups that do not exist have no scales; their scores are masked.
          if ((at + v) * kKvGroup >= block.block.tokens) break;
          const __m256 scales = _mm256_loadu_ps(block.block.key_scales[part][at + v]);
          for (int q = 0; q < kQueries; ++q) {
            all[q][at + v] = _mm256_fmadd_ps(sums[q][v], scales, all[q][at + v]);
          }
        } else {
          for (int q = 0; q < kQueries; ++q) all[q][at + v] = sums[q][v];
        }
      }
    }
  }
}

// Queries that see the same number of the block's tokens. Their sums fill the registers without
// spilling, and there are enough of them to hide the latency of an addition.
template <int kQueries, typename Block>
void attend_some(const Block& block, const AttentionQuery* queries) {
  constexpr int kVectors = kQueries == 4 ? 2 : kQueries == 3 ? Block::kVectorsOfThree : 4;
  constexpr int kValueVectors = kQueries == 1 ? 8 : kVectors;
  const float* rows[kQueries];
  const float* probabilities[kQueries];
  alignas(32) float scores[kQueries][kKvBlock];
  float corrections[kQueries];
  const int tokens = queries[0].tokens;
  for (int q = 0; q < kQueries; ++q) {
    rows[q] = queries[q].q;
    probabilities[q] = scores[q];
  }
  __m256 all[kQueries][4];
  score_keys<kQueries, kVectors>(block, rows, all);
  for (int q = 0; q < kQueries; ++q) {
    corrections[q] = softmax_step(all[q], tokens, queries[q].state);
    for (int v = 0; v < 4; ++v) {
      if constexpr (Block::kCodes) {
        if (v * kKvGroup >= block.block.tokens) break;
        all[q][v] = _mm256_mul_ps(all[q][v], _mm256_loadu_ps(block.block.value_scales[v]));
      }
      _mm256_store_ps(scores[q] + 8 * v, all[q][v]);
    }
  }
  int64_t at = 0;
  for (; at + 8 * kValueVectors <= block.head_dim; at += 8 * kValueVectors) {
    add_values<kQueries, kValueVectors>(probabilities, corrections, block.values(at), queries, at);
  }
  for (; at < block.head_dim; at += 8) {
    add_values<kQueries, 1>(probabilities, corrections, block.values(at), queries, at);
  }
}

template <typename Block>
void attend_all(const Block& block, const AttentionQuery* queries, int64_t query_count) {
  for (int64_t n = 0; n < query_count;) {
    int64_t same = 1;
    while (same < 9 && n + same < query_count && queries[n + same].tokens == queries[n].tokens) {
      ++same;
    }
    const int some = Block::queries_at_once(same);
    switch (some) {
      case 4:
        attend_some<4>(block, queries + n);
        break;
      case 3:
        attend_some<3>(block, queries + n);
        break;
      case 2:
        attend_some<2>(block, queries + n);
        break;
      default:
        attend_some<1>(block, queries + n);
    }
    n += some;
  }
}

template <int kFormat>
void attend_format(const KvBlock& block, int64_t head_dim, float* scratch,
                   const AttentionQuery* queries, int64_t query_count) {
  if (query_count < kQueriesToLoad) {
    return attend_all(StoredBlock<kFormat>{block, head_dim}, queries, query_count);
  }
  float* const values = scratch + kKvBlock * head_dim;
  load_kv<kFormat>(block, head_dim, scratch, values);
  attend_all(LoadedBlock<kFormat>{block, head_dim, scratch, values}, queries, query_count);
}

void attend(const KvBlock& block, const AttentionShape& shape, float* scratch,
            const AttentionQuery* queries, int64_t query_count) {
  if (shape.format == 0)
    return attend_format<0>(block, shape.head_dim, scratch, queries, query_count);
  if (shape.format == 1)
    return attend_format<1>(block, shape.head_dim, scratch, queries, query_count);
  attend_format<2>(block, shape.head_dim, scratch, queries, query_count);
}
