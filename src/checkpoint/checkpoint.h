// Any weight file as named, typed, mapped tensors and metadata under Hugging Face names: GGUF v2
// and v3 (single or split) and folders with config.json + safetensors (single or sharded).
// Everything is validated with checked arithmetic before it is mapped; a malformed file is one
// clear kBadFile. Immutable after open(); thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/result.h"
#include "tensor/dtype.h"

namespace yunqi {

struct Tensor {
  std::string name;  // Hugging Face's: "model.layers.0.self_attn.q_proj.weight"
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major, as Hugging Face: [out, in]; rank 0 to 5
  // Mapped, exactly dtype_bytes(dtype, elements()); may be unaligned, so copy or dequantize().
  std::span<const std::byte> bytes;

  int64_t elements() const;
  // "[896, 4864] q5_0", for messages.
  std::string describe() const;
};

// The raw material of a tokenizer; runtime/ turns it into one. One of the forms is set.
struct TokenizerFiles {
  std::string tokenizer_json;          // folder: tokenizer.json
  std::string vocab_json, merges_txt;  // folder: the older pair
  std::string tokenizer_config_json;   // folder: may be empty
  // GGUF: views into the mapped file.
  std::vector<std::string_view> gguf_tokens;
  std::vector<int32_t> gguf_types;
  std::vector<std::string_view> gguf_merges;
  std::string gguf_pre;
};

class Checkpoint {
 public:
  // A .gguf file (any part of a split set), a folder, or a .safetensors file beside a config.json.
  // kNotFound, kBadFile, or kUnsupported (a format or dtype we name).
  static Result<std::unique_ptr<Checkpoint>> open(const Path& path);
  virtual ~Checkpoint() = default;

  // config.json's content; for GGUF the same keys made from its metadata: architectures,
  // model_type, hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim,
  // intermediate_size, vocab_size, rms_norm_eps, rope_theta, rope_scaling (or null),
  // max_position_embeddings, tie_word_embeddings.
  virtual const Json& config() const = 0;
  // generation_config.json's content, {} when absent. GGUF: eos_token_id (every end id the file
  // names), pad_token_id.
  virtual const Json& generation_config() const = 0;
  virtual const TokenizerFiles& tokenizer() const = 0;
  // The Jinja source, "" when the checkpoint has none.
  virtual const std::string& chat_template() const = 0;
  // Other metadata for `yunqi inspect`: GGUF's key-value pairs, a folder's file list.
  virtual const Json& metadata() const = 0;

  virtual std::span<const Tensor> tensors() const = 0;
  // By name, or null.
  virtual const Tensor* find(std::string_view name) const = 0;
  // "gguf" or "safetensors"; the files, for messages and fingerprints.
  virtual std::string_view format() const = 0;
  virtual std::span<const Path> files() const = 0;
  // SHA-256 over names, types, shapes and the bytes' sizes plus a sample of their content: cheap
  // enough for each start, different for any two checkpoints made apart.
  virtual std::string fingerprint() const = 0;
};

// Writing a GGUF v3 file, for synthetic models and tests: metadata (integers as u32 unless they
// need 64 bits, floats as f32, arrays of one type), then tensors whose bytes are produced one at a
// time. `shape` is row-major, names are GGUF's.
struct GgufTensorSource {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::function<Status(std::span<std::byte> out)> fill;
};
Status write_gguf(const Path& path, const Json& metadata,
                  std::span<const GgufTensorSource> tensors);

// "model.layers.3.mlp.up_proj.weight" <-> "blk.3.ffn_up.weight"; "" when there is no such name.
std::string hf_name_of_gguf(std::string_view gguf_name);
std::string gguf_name_of_hf(std::string_view hf_name);

}  // namespace yunqi
