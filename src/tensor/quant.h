// Plain reference codecs of the quantised block formats: the oracle for every packed kernel, and
// the way weights reach float. Slow and clear on purpose. Layouts follow GGUF (docs/formats/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/dtype.h"

namespace yunqi {

// Decodes out.size() elements of any float or block type. `bytes` must hold exactly
// dtype_bytes(dtype, out.size()); other types are kUnsupported. Exact in float32.
Status dequantize(DType dtype, std::span<const std::byte> bytes, std::span<float> out);

// Encodes floats as kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ5_0, kQ4_K or kQ6_K (round to nearest; no
// importance weights). Sizes as for dequantize. For tests and synthetic models.
Status quantize(DType dtype, std::span<const float> values, std::span<std::byte> out);

}  // namespace yunqi
