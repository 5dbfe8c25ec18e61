// What GGUF's key-value pairs mean, said in the words of Hugging Face's files. Internal to
// checkpoint/.
#pragma once

#include <span>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"

namespace yunqi {

// config.json's keys, as Checkpoint::config() lists them. `tensors` carry Hugging Face's names;
// the vocabulary's size and tied embeddings are read off them. kBadFile names a missing key, or
// one out of range. Architectures that are not Qwen's get what can be read and "gguf:<name>".
Result<Json> gguf_config(const GgufMetadata& metadata, std::span<const Tensor> tensors);

// Empty when the file has no byte-pair tokenizer. Views borrow the file.
Result<TokenizerFiles> gguf_tokenizer(const GgufMetadata& metadata);

// Ids that end an answer, the padding id, and sampling settings where the file names them.
Result<Json> gguf_generation_config(const GgufMetadata& metadata, const TokenizerFiles& tokenizer);

Result<std::string> gguf_chat_template(const GgufMetadata& metadata);

// All pairs for people; long arrays and texts are cut and say how long they are.
Json gguf_metadata_json(const GgufMetadata& metadata);

}  // namespace yunqi
