// One safetensors file as a validated list of tensors over its bytes. Layout and rules:
// docs/formats/safetensors.md. Internal to checkpoint/.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace yunqi {

struct SafetensorsFile {
  std::vector<Tensor> tensors;     // in the header's order; bytes borrow the file
  Json metadata = Json::object();  // "__metadata__": texts by name
};

// kBadFile for malformed bytes, kUnsupported for element types we name but do not read, kTooLarge
// over limits.h. Messages carry no path: the caller adds it.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes);

}  // namespace yunqi
