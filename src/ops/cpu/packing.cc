// See packing.h. A row of the file is read in blocks of 32 codes; eight rows make a group. Every
// number of the file is kept exactly, so that unpack_row gives the reference codec's floats.
#include "ops/cpu/packing.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "ops/cpu/memory.h"
#include "tensor/blocks.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

#include "ops/cpu/body/layout.inl"

// Bounds rows x columns of one part, so that sizes can't wrap.
constexpr int64_t kMaxRows = int64_t{1} << 28;
constexpr int64_t kMaxColumns = int64_t{1} << 24;
constexpr size_t kMaxParts = 64;

bool is_float_format(KernelFormat format) { return format <= KernelFormat::kBF16; }

// One block of 32 of one row, as the packed layout keeps it.
struct BlockCodes {
  uint16_t d = 0, m = 0;  // 16-bit floats
  uint8_t sub[2] = {0, 0}, sub_minimum[2] = {0, 0};
  uint8_t codes[kBlock] = {};
};

void split_nibbles(const uint8_t* bytes, uint8_t* codes) {
  for (int j = 0; j < 16; ++j) {
    codes[j] = bytes[j] & 0xf;
    codes[j + 16] = bytes[j] >> 4;
  }
}

void add_fifth_bits(const uint8_t* high, uint8_t* codes) {
  uint32_t bits;
  std::memcpy(&bits, high, sizeof(bits));
  for (int j = 0; j < kBlock; ++j) {
    codes[j] = static_cast<uint8_t>(codes[j] | (((bits >> j) & 1u) << 4));
  }
}

void read_q4_k(const uint8_t* block, int sub, bool fifth, BlockCodes& out) {
  out.d = load_u16(block);
  out.m = load_u16(block + 2);
  const blocks::ScaleMin pair = blocks::unpack_scale_min(block + 4, sub);
  out.sub[0] = pair.scale;
  out.sub_minimum[0] = pair.minimum;
  const uint8_t* high = block + 16;
  const uint8_t* source = block + (fifth ? 48 : 16) + 32 * (sub / 2);
  for (int j = 0; j < kBlock; ++j) {
    int code = (source[j] >> (4 * (sub % 2))) & 0xf;
    if (fifth) code |= ((high[j] >> sub) & 1) << 4;
    out.codes[j] = static_cast<uint8_t>(code);
  }
}

void read_q6_k(const uint8_t* block, int sub, BlockCodes& out) {
  out.d = load_u16(block + 208);
  const int quarter = sub % 4;
  const uint8_t* low = block + 64 * (sub / 4) + 32 * (quarter % 2);
  const uint8_t* high = block + 128 + 32 * (sub / 4);
  for (int j = 0; j < kBlock; ++j) {
    out.codes[j] = static_cast<uint8_t>(((low[j] >> (4 * (quarter / 2))) & 0xf) |
                                        (((high[j] >> (2 * quarter)) & 3) << 4));
  }
  out.sub[0] = block[192 + 2 * sub];
  out.sub[1] = block[193 + 2 * sub];
}

void read_q2_k(const uint8_t* block, int sub, BlockCodes& out) {
  out.d = load_u16(block + 80);
  out.m = load_u16(block + 82);
  const uint8_t* source = block + 16 + 32 * (sub / 4);
  for (int j = 0; j < kBlock; ++j) out.codes[j] = (source[j] >> (2 * (sub % 4))) & 3;
  for (int half = 0; half < 2; ++half) {
    out.sub[half] = block[2 * sub + half] & 0xf;
    out.sub_minimum[half] = block[2 * sub + half] >> 4;
  }
}

void read_q3_k(const uint8_t* block, int sub, BlockCodes& out) {
  out.d = load_u16(block + 108);
  const uint8_t* source = block + 32 + 32 * (sub / 4);
  const uint8_t* packed = block + 96;
  for (int j = 0; j < kBlock; ++j) {
    // The third bit clear means minus 4, which is the packed offset.
    out.codes[j] =
        static_cast<uint8_t>(((source[j] >> (2 * (sub % 4))) & 3) | (((block[j] >> sub) & 1) << 2));
  }
  for (int half = 0; half < 2; ++half) {
    const int s = 2 * sub + half;
    const int low_bits = (packed[s % 8] >> (4 * (s / 8))) & 0xf;
    const int high_bits = (packed[8 + s % 4] >> (2 * (s / 4))) & 3;
    out.sub[half] = static_cast<uint8_t>((low_bits | (high_bits << 4)) - 32);
  }
}

void read_iq4_xs(const uint8_t* block, int sub, BlockCodes& out) {
  out.d = load_u16(block);
  const int low_bits = (block[4 + sub / 2] >> (4 * (sub % 2))) & 0xf;
  const int high_bits = (load_u16(block + 2) >> (2 * sub)) & 3;
  out.sub[0] = static_cast<uint8_t>((low_bits | (high_bits << 4)) - 32);
  split_nibbles(block + 8 + 16 * sub, out.codes);
  for (uint8_t& code : out.codes) code = static_cast<uint8_t>(blocks::kIq4Levels[code]);
}

// Block `index` of 32 of a row that starts at `row`.
void read_block(DType dtype, const uint8_t* row, int64_t index, BlockCodes& out) {
  const DTypeInfo& info = dtype_info(dtype);
  const int64_t per_block = info.block_elements / kBlock;
  const uint8_t* block = row + index / per_block * info.block_bytes;
  const int sub = static_cast<int>(index % per_block);
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kIQ4_NL:
      out.d = load_u16(block);
      split_nibbles(block + 2, out.codes);
      if (dtype == DType::kIQ4_NL) {
        for (uint8_t& code : out.codes) code = static_cast<uint8_t>(blocks::kIq4Levels[code]);
      }
      return;
    case DType::kQ4_1:
    case DType::kQ5_1:
      out.d = load_u16(block);
      out.m = load_u16(block + 2) ^ 0x8000;  // the packed minimum is subtracted
      split_nibbles(block + (dtype == DType::kQ5_1 ? 8 : 4), out.codes);
      if (dtype == DType::kQ5_1) add_fifth_bits(block + 4, out.codes);
      return;
    case DType::kQ5_0:
      out.d = load_u16(block);
      split_nibbles(block + 6, out.codes);
      add_fifth_bits(block + 2, out.codes);
      return;
    case DType::kQ8_0:
      out.d = load_u16(block);
      std::memcpy(out.codes, block + 2, kBlock);
      return;
    case DType::kQ4_K:
      return read_q4_k(block, sub, false, out);
    case DType::kQ5_K:
      return read_q4_k(block, sub, true, out);
    case DType::kQ6_K:
      return read_q6_k(block, sub, out);
    case DType::kQ2_K:
      return read_q2_k(block, sub, out);
    case DType::kQ3_K:
      return read_q3_k(block, sub, out);
    default:
      return read_iq4_xs(block, sub, out);
  }
}

// steps: [8 steps][8 lanes] of four codes each.
void write_codes(const Layout& layout, const uint32_t (&steps)[kStepsPerBlock][kLanes],
                 uint8_t* out) {
  if (layout.bits == 8) {
    std::memcpy(out, steps, sizeof(steps));
    return;
  }
  uint32_t vectors[4][kLanes], plane[2][kLanes] = {};
  for (int v = 0; v < 4; ++v) {
    for (int r = 0; r < kLanes; ++r) {
      const uint32_t low = steps[v][r], high = steps[v + 4][r];
      vectors[v][r] = (low & 0x0f0f0f0fu) | ((high & 0x0f0f0f0fu) << 4);
      if (layout.bits == 5) {
        plane[0][r] |= ((low >> 4) & 0x01010101u) << v | ((high >> 4) & 0x01010101u) << (v + 4);
      } else {
        plane[0][r] |= ((low >> 4) & 0x03030303u) << (2 * v);
        plane[1][r] |= ((high >> 4) & 0x03030303u) << (2 * v);
      }
    }
  }
  std::memcpy(out, vectors, sizeof(vectors));
  if (layout.bits > 4) {
    std::memcpy(out + sizeof(vectors), plane, static_cast<size_t>(layout.bits - 4) * kStepBytes);
  }
}

// Packs `lanes` rows starting at `source` (row_bytes apart); missing lanes stay zero.
void pack_integer_group(const WeightSource& part, const uint8_t* source, int lanes,
                        const Layout& layout, uint8_t* out) {
  const auto row_bytes =
      static_cast<size_t>(*dtype_bytes(part.dtype, static_cast<uint64_t>(part.columns)));
  const int64_t blocks = part.columns / kBlock;
  const int per_unit = layout.blocks_per_unit();
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t* unit = out + static_cast<size_t>(b / per_unit) * layout.unit_bytes();
    uint8_t* block =
        unit + layout.header_bytes() + static_cast<size_t>(b % per_unit) * layout.block_bytes();
    uint32_t steps[kStepsPerBlock][kLanes] = {};
    for (int r = 0; r < lanes; ++r) {
      BlockCodes in;
      read_block(part.dtype, source + static_cast<size_t>(r) * row_bytes, b, in);
      if (b % per_unit == 0) {
        std::memcpy(unit + 2 * r, &in.d, 2);
        if (layout.minimum) std::memcpy(unit + 16 + 2 * r, &in.m, 2);
      }
      if (layout.unit_256) {
        for (int half = 0; half < (layout.halves ? 2 : 1); ++half) {
          block[8 * half + r] = in.sub[half];
          if (layout.minimum) {
            block[layout.sub_bytes() + static_cast<size_t>(8 * half + r)] = in.sub_minimum[half];
          }
        }
      }
      for (int s = 0; s < kStepsPerBlock; ++s) std::memcpy(&steps[s][r], in.codes + 4 * s, 4);
    }
    write_codes(layout, steps, block + layout.code_offset());
  }
}

template <typename T>
void interleave(const T* row, int64_t columns, int lane, uint8_t* out) {
  for (int64_t k = 0; k < columns; ++k) {
    std::memcpy(out + sizeof(T) * static_cast<size_t>(k * kLanes + lane), row + k, sizeof(T));
  }
}

// `row` is scratch of [columns] floats.
void pack_float_group(const WeightSource& part, const uint8_t* source, int lanes,
                      KernelFormat format, std::span<float> row, uint8_t* out) {
  const auto row_bytes =
      static_cast<size_t>(*dtype_bytes(part.dtype, static_cast<uint64_t>(part.columns)));
  const bool as_is = (format == KernelFormat::kF16) ||
                     (format == KernelFormat::kBF16 && part.dtype == DType::kBF16);
  std::vector<uint16_t> halves(as_is || format == KernelFormat::kBF16 ? row.size() : 0);
  for (int r = 0; r < lanes; ++r) {
    const uint8_t* bytes = source + static_cast<size_t>(r) * row_bytes;
    if (as_is) {
      std::memcpy(halves.data(), bytes, row_bytes);
      interleave(halves.data(), part.columns, r, out);
      continue;
    }
    const Status status = dequantize(part.dtype, std::as_bytes(std::span(bytes, row_bytes)), row);
    YQ_CHECK(status.is_ok(), "{}", status.message());
    if (format == KernelFormat::kF32) {
      interleave(row.data(), part.columns, r, out);
    } else {
      for (size_t k = 0; k < row.size(); ++k) halves[k] = to_bf16(row[k]).bits;
      interleave(halves.data(), part.columns, r, out);
    }
  }
}

Result<KernelFormat> choose_format(const WeightSource& part, const Numerics& numerics) {
  const bool floats = numerics.activations == ActivationFormat::kFloat32;
  switch (part.dtype) {
    case DType::kF32:
      return KernelFormat::kF32;
    case DType::kF16:
      return KernelFormat::kF16;
    case DType::kBF16:
    case DType::kF8E4M3:
      return KernelFormat::kBF16;  // every E4M3 value is one
    case DType::kQ8_0:
    case DType::kIQ4_NL:
      return floats ? KernelFormat::kF32 : KernelFormat::kInt8;
    case DType::kIQ4_XS:
      return floats ? KernelFormat::kF32 : KernelFormat::kInt8Sub;
    case DType::kQ4_0:
      return floats ? KernelFormat::kF32 : KernelFormat::kU4;
    case DType::kQ4_1:
      return floats ? KernelFormat::kF32 : KernelFormat::kU4Min;
    case DType::kQ5_0:
      return floats ? KernelFormat::kF32 : KernelFormat::kU5;
    case DType::kQ5_1:
      return floats ? KernelFormat::kF32 : KernelFormat::kU5Min;
    case DType::kQ4_K:
      return floats ? KernelFormat::kF32 : KernelFormat::kU4K;
    case DType::kQ5_K:
      return floats ? KernelFormat::kF32 : KernelFormat::kU5K;
    case DType::kQ6_K:
      return floats ? KernelFormat::kF32 : KernelFormat::kU6Half;
    case DType::kQ3_K:
      return floats ? KernelFormat::kF32 : KernelFormat::kU4Half;
    case DType::kQ2_K:
      return floats ? KernelFormat::kF32 : KernelFormat::kU4HalfMin;
    default:
      return error(Code::kUnsupported,
                   "{}: {} is no weight type; want f32, f16, bf16, fp8 or a GGUF block type",
                   part.name, dtype_info(part.dtype).name);
  }
}

Status check_part(const WeightSource& part, int64_t columns) {
  if (part.rows < 1 || part.rows > kMaxRows || part.columns < 1 || part.columns > kMaxColumns) {
    return error(Code::kBadFile, "{}: want 1..{} rows of 1..{} columns, found {} x {}", part.name,
                 kMaxRows, kMaxColumns, part.rows, part.columns);
  }
  if (part.columns != columns) {
    return error(Code::kBadFile, "{}: want {} columns like the matrix it is stacked on, found {}",
                 part.name, columns, part.columns);
  }
  if (part.columns % kBlock != 0) {
    return error(Code::kUnsupported, "{}: want a multiple of {} columns, found {}", part.name,
                 kBlock, part.columns);
  }
  const auto row_bytes = dtype_bytes(part.dtype, static_cast<uint64_t>(part.columns));
  if (!row_bytes || *row_bytes * static_cast<uint64_t>(part.rows) != part.bytes.size()) {
    return error(Code::kBadFile, "{}: want {} x {} elements of {}, found {} bytes", part.name,
                 part.rows, part.columns, dtype_info(part.dtype).name, part.bytes.size());
  }
  return Status::ok();
}

}  // namespace

size_t packed_group_bytes(KernelFormat format, int64_t columns) {
  const auto k = static_cast<size_t>(columns);
  if (format == KernelFormat::kF32) return k * kLanes * sizeof(float);
  if (format == KernelFormat::kF16 || format == KernelFormat::kBF16) return k * kLanes * 2;
  const Layout layout = layout_of(format);
  return k / static_cast<size_t>(kBlock * layout.blocks_per_unit()) * layout.unit_bytes();
}

Result<std::unique_ptr<PackedWeight>> PackedWeight::pack(std::span<const WeightSource> parts,
                                                         std::span<const float> bias,
                                                         const Numerics& numerics,
                                                         ThreadPool& pool) {
  if (parts.empty() || parts.size() > kMaxParts) {
    return error(Code::kInvalidArgument, "want 1..{} matrices to stack, found {}", kMaxParts,
                 parts.size());
  }
  auto weight = std::make_unique<PackedWeight>();
  weight->columns_ = parts[0].columns;
  for (const WeightSource& part : parts) {
    YQ_RETURN_IF_ERROR(check_part(part, weight->columns_));
    YQ_TRY(const KernelFormat format, choose_format(part, numerics));
    WeightSegment segment{format, weight->rows_, part.rows, nullptr,
                          packed_group_bytes(format, part.columns)};
    YQ_TRY(Buffer buffer,
           allocate_host(segment.group_bytes * static_cast<size_t>(segment.groups())));
    auto* data = reinterpret_cast<uint8_t*>(buffer.data());
    segment.data = data;
    const bool is_float = is_float_format(format);
    (is_float ? weight->has_float_ : weight->has_integer_) = true;
    const auto* source = reinterpret_cast<const uint8_t*>(part.bytes.data());
    const auto row_bytes =
        static_cast<size_t>(*dtype_bytes(part.dtype, static_cast<uint64_t>(part.columns)));
    pool.parallel_for(segment.groups(), 4, [&](int64_t begin, int64_t end, int) {
      std::vector<float> row(is_float ? static_cast<size_t>(part.columns) : 0);
      for (int64_t g = begin; g < end; ++g) {
        const int lanes = static_cast<int>(std::min<int64_t>(kLanes, part.rows - g * kLanes));
        const uint8_t* from = source + static_cast<size_t>(g * kLanes) * row_bytes;
        uint8_t* to = data + static_cast<size_t>(g) * segment.group_bytes;
        if (is_float) {
          pack_float_group(part, from, lanes, format, row, to);
        } else {
          pack_integer_group(part, from, lanes, layout_of(format), to);
        }
      }
    });
    weight->rows_ += part.rows;
    weight->bytes_ += buffer.bytes();
    weight->segments_.push_back(segment);
    weight->storage_.push_back(std::move(buffer));
  }
  if (!bias.empty() && bias.size() != static_cast<size_t>(weight->rows_)) {
    return error(Code::kBadFile, "{}: want a bias of {} values, found {}", parts[0].name,
                 weight->rows_, bias.size());
  }
  weight->bias_.assign(bias.begin(), bias.end());
  return weight;
}

namespace {

// Lane `lane` of one group of an integer format, as floats.
void unpack_lane(const Layout& layout, const uint8_t* group, int lane, std::span<float> out) {
  const int per_unit = layout.blocks_per_unit();
  for (size_t b = 0; b < out.size() / kBlock; ++b) {
    const uint8_t* unit = group + b / static_cast<size_t>(per_unit) * layout.unit_bytes();
    const uint8_t* block =
        unit + layout.header_bytes() + b % static_cast<size_t>(per_unit) * layout.block_bytes();
    const float d = float_of_f16(load_u16(unit + 2 * lane));
    const float m = layout.minimum ? float_of_f16(load_u16(unit + 16 + 2 * lane)) : 0.0f;
    for (int k = 0; k < kBlock; ++k) {
      const size_t s = static_cast<size_t>(lane + (layout.halves ? 8 * (k / 16) : 0));
      const uint8_t* subs = block;
      float scale = d, minimum = m;
      if (layout.unit_256) {
        scale = d * static_cast<float>(static_cast<int8_t>(subs[s]));
        if (layout.minimum) minimum = m * static_cast<float>(subs[layout.sub_bytes() + s]);
      }
      const int code = code_at(layout, block + layout.code_offset(), lane, k) - layout.offset;
      float value = scale * static_cast<float>(code);
      if (layout.minimum) value -= minimum;
      out[b * kBlock + static_cast<size_t>(k)] = value;
    }
  }
}

}  // namespace

void PackedWeight::unpack_row(int64_t row, std::span<float> out) const {
  YQ_CHECK(row >= 0 && row < rows_ && out.size() == static_cast<size_t>(columns_));
  const WeightSegment* segment = &segments_[0];
  while (row >= segment->row_begin + segment->rows) ++segment;
  const int64_t index = row - segment->row_begin;
  const uint8_t* group = segment->group(index / kLanes);
  const int lane = static_cast<int>(index % kLanes);
  for (size_t k = 0; k < out.size(); ++k) {
    const size_t at = k * kLanes + static_cast<size_t>(lane);
    switch (segment->format) {
      case KernelFormat::kF32:
        out[k] = load_f32(group + 4 * at);
        break;
      case KernelFormat::kF16:
        out[k] = float_of_f16(load_u16(group + 2 * at));
        break;
      case KernelFormat::kBF16:
        out[k] = to_float(bf16{load_u16(group + 2 * at)});
        break;
      default:
        return unpack_lane(layout_of(segment->format), group, lane, out);
    }
  }
}

}  // namespace yunqi
