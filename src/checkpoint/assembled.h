// The one implementation of Checkpoint: whatever a reader found, put together. Also the entries
// that read from memory, for tests and fuzzing. Internal to checkpoint/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint.h"

namespace yunqi {

struct CheckpointParts {
  std::string_view format;  // a literal
  Json config, generation_config = Json::object(), metadata = Json::object();
  TokenizerFiles tokenizer;
  std::string chat_template;
  std::vector<Tensor> tensors;
  std::vector<Path> files;
  std::vector<MappedFile> mappings;  // own what tensors and tokenizer view
};

// kBadFile when two tensors share a name, kTooLarge over kMaxTensors.
Result<std::unique_ptr<Checkpoint>> assemble_checkpoint(CheckpointParts parts);

// A .gguf file, and its sisters when it is one part of a set.
Result<std::unique_ptr<Checkpoint>> open_gguf(const Path& path);
// Whether the name says part 2 or later of a split set.
bool is_later_gguf_part(const Path& path);
// A whole single-file GGUF in memory, which the result borrows.
Result<std::unique_ptr<Checkpoint>> open_gguf_bytes(std::span<const std::byte> bytes);

// A folder with config.json; `only` names the one weight file to read, empty for all.
Result<std::unique_ptr<Checkpoint>> open_folder(const Path& folder, const Path& only);
// config.json's text and one safetensors file in memory, which the result borrows.
Result<std::unique_ptr<Checkpoint>> open_safetensors_bytes(std::string_view config_json,
                                                           std::span<const std::byte> bytes);

}  // namespace yunqi
