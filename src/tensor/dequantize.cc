// dequantize(): checks sizes, then decodes block by block. Plain and slow; the oracle of packed
// kernels. Pure functions; any thread.
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

blocks::DecodeBlock decoder_of(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return blocks::decode_q4_0;
    case DType::kQ4_1:
      return blocks::decode_q4_1;
    case DType::kQ5_0:
      return blocks::decode_q5_0;
    case DType::kQ5_1:
      return blocks::decode_q5_1;
    case DType::kQ8_0:
      return blocks::decode_q8_0;
    case DType::kQ2_K:
      return blocks::decode_q2_k;
    case DType::kQ3_K:
      return blocks::decode_q3_k;
    case DType::kQ4_K:
      return blocks::decode_q4_k;
    case DType::kQ5_K:
      return blocks::decode_q5_k;
    case DType::kQ6_K:
      return blocks::decode_q6_k;
    case DType::kIQ4_NL:
      return blocks::decode_iq4_nl;
    case DType::kIQ4_XS:
      return blocks::decode_iq4_xs;
    default:
      return nullptr;
  }
}

// Reads one stored element at `bytes`, which need not be aligned.
template <typename Stored>
Stored load(const uint8_t* bytes) {
  Stored value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

Status dequantize(DType dtype, std::span<const std::byte> bytes, std::span<float> out) {
  const DTypeInfo& info = dtype_info(dtype);
  const auto want = dtype_bytes(dtype, out.size());
  if (!want || *want != bytes.size()) {
    return error(Code::kInvalidArgument, "dequantize: {} elements of {} do not fill {} bytes",
                 out.size(), info.name, bytes.size());
  }
  const auto* source = reinterpret_cast<const uint8_t*>(bytes.data());
  if (const blocks::DecodeBlock decode = decoder_of(dtype)) {
    for (size_t i = 0; i < out.size(); i += info.block_elements, source += info.block_bytes) {
      decode(source, out.data() + i);
    }
    return Status::ok();
  }
  switch (dtype) {
    case DType::kF32:
      if (!bytes.empty()) std::memcpy(out.data(), source, bytes.size());
      return Status::ok();
    case DType::kF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = to_float(load<f16>(source + 2 * i));
      return Status::ok();
    case DType::kBF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = to_float(load<bf16>(source + 2 * i));
      return Status::ok();
    case DType::kF8E4M3:
      for (size_t i = 0; i < out.size(); ++i) out[i] = f8e4m3_to_float(source[i]);
      return Status::ok();
    default:
      return error(Code::kUnsupported, "dequantize: {} has no decoder; want a float or block type",
                   info.name);
  }
}

}  // namespace yunqi
