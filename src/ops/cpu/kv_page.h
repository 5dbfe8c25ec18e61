// Where things are in one page of one layer's keys and values. For each KV head in turn:
//   keys [page_tokens / 8][head_dim][8] | values [page_tokens][head_dim] |
//   int8 only: key scales [2][page_tokens] | value scales [page_tokens] | bases [..][head_dim] f16
// Keys are element-major in groups of 8 tokens, so that a query meets 8 tokens per vector. In int8
// they are rotated, the half of fast channels and the half of slow ones apart, with a scale each,
// and kept relative to the first key of their block of 32 tokens, the base; it lies in the page of
// that first token.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cpu/kernels.h"
#include "ops/device.h"

namespace yunqi {

class KvPage {
 public:
  explicit KvPage(const KvLayout& layout) : layout_(layout) {}

  size_t element_bytes() const {
    return layout_.format == KvFormat::kInt8 ? 1 : layout_.format == KvFormat::kF16 ? 2 : 4;
  }
  size_t vector_bytes() const { return static_cast<size_t>(layout_.head_dim) * element_bytes(); }
  size_t values_offset() const { return tokens() * vector_bytes(); }
  size_t key_scales_offset() const { return 2 * values_offset(); }
  size_t value_scales_offset() const { return key_scales_offset() + 2 * scale_bytes(); }
  // Of the second half's key scales behind the first's.
  size_t scale_bytes() const {
    return layout_.format == KvFormat::kInt8 ? tokens() * sizeof(float) : 0;
  }
  size_t bases_offset() const { return value_scales_offset() + scale_bytes(); }
  size_t head_bytes() const { return bases_offset() + base_count() * base_bytes(); }
  size_t page_bytes() const {
    return (static_cast<size_t>(layout_.kv_heads) * head_bytes() + 63) / 64 * 64;
  }

  // Of the 8 tokens from slot `slot` (a multiple of 8) of a head that starts at `head`.
  size_t keys_at(size_t slot) const { return slot * vector_bytes(); }
  size_t values_at(size_t slot) const { return values_offset() + slot * vector_bytes(); }
  // Of the block whose first token has slot `slot`.
  size_t base_at(size_t slot) const { return bases_offset() + slot / kKvBlock * base_bytes(); }
  size_t base_bytes() const {
    return layout_.format == KvFormat::kInt8 ? static_cast<size_t>(layout_.head_dim) * 2 : 0;
  }

 private:
  size_t tokens() const { return static_cast<size_t>(layout_.page_tokens); }
  size_t base_count() const { return (tokens() + kKvBlock - 1) / kKvBlock; }
  KvLayout layout_;
};

}  // namespace yunqi
