// Deterministic random models of the true shapes, for speed without anybody's weights: as a
// checkpoint in memory, or as a GGUF file that other engines load too. Their answers are noise.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace yunqi {

struct SyntheticSpec {
  std::string name;       // "qwen3:0.6b"
  Json config;            // as the real checkpoint's config.json
  int32_t token_ids = 0;  // ids in use; the model's rows beyond them are padding
};

// The names that exist: "qwen3:0.6b" ... "qwen3:32b", "qwen2.5:0.5b" ... "qwen2.5:72b".
std::vector<std::string_view> synthetic_names();
// kNotFound lists the names.
Result<SyntheticSpec> synthetic_spec(std::string_view name);

// `quant` is "bf16", "q8_0" or "q4_k_m". The last is a mix: Q4_K, with Q6_K for the output matrix
// and, in the first and last eighth of the layers and every third between, for v_proj and
// down_proj; rows that are no multiple of 256 wide take Q5_0 for Q4_K and Q8_0 for Q6_K. Vectors
// are F32. Weights are spread about 1 / sqrt(columns), so that activations stay finite.
// kNotFound names an unknown model or quant.

// The weights are not all stored: tensors of one type and width share random blocks, so that
// memory holds little beside what the device packs. Same shapes and types as the file's.
Result<std::unique_ptr<Checkpoint>> make_synthetic_checkpoint(std::string_view name,
                                                              std::string_view quant);
// Every tensor has its own blocks. With a vocabulary of the true size: the bytes, generated
// pieces with their merges, and control tokens.
Status write_synthetic_gguf(std::string_view name, std::string_view quant, const Path& path);

}  // namespace yunqi
