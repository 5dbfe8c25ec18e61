// See synthetic.h. Shapes are the published ones; names and shapes of tensors come from the
// architectures' own field lists. A synthetic checkpoint is immutable after it is made.
#include "model/synthetic.h"

#include <algorithm>
#include <map>
#include <utility>

#include "model/registry.h"
#include "model/synthetic_tensors.h"
#include "model/synthetic_vocabulary.h"

namespace yunqi {
namespace {

constexpr uint64_t kSeed = 0x59554e5149;       // any; part of every weight
constexpr size_t kSharedBlockOffsets = 4'096;  // tensors that share blocks start at one of these

enum Family { kFamilyQwen25, kFamilyQwen3 };

struct Size {
  std::string_view name;
  Family family;
  int64_t layers, hidden, intermediate, heads, kv_heads, head_dim, rows;
  bool tied;
};
constexpr Size kSizes[] = {
    {"qwen2.5:0.5b", kFamilyQwen25, 24, 896, 4864, 14, 2, 64, 151936, true},
    {"qwen2.5:1.5b", kFamilyQwen25, 28, 1536, 8960, 12, 2, 128, 151936, true},
    {"qwen2.5:3b", kFamilyQwen25, 36, 2048, 11008, 16, 2, 128, 151936, true},
    {"qwen2.5:7b", kFamilyQwen25, 28, 3584, 18944, 28, 4, 128, 152064, false},
    {"qwen2.5:14b", kFamilyQwen25, 48, 5120, 13824, 40, 8, 128, 152064, false},
    {"qwen2.5:32b", kFamilyQwen25, 64, 5120, 27648, 40, 8, 128, 152064, false},
    {"qwen2.5:72b", kFamilyQwen25, 80, 8192, 29568, 64, 8, 128, 152064, false},
    {"qwen3:0.6b", kFamilyQwen3, 28, 1024, 3072, 16, 8, 128, 151936, true},
    {"qwen3:1.7b", kFamilyQwen3, 28, 2048, 6144, 16, 8, 128, 151936, true},
    {"qwen3:4b", kFamilyQwen3, 36, 2560, 9728, 32, 8, 128, 151936, true},
    {"qwen3:8b", kFamilyQwen3, 36, 4096, 12288, 32, 8, 128, 151936, false},
    {"qwen3:14b", kFamilyQwen3, 40, 5120, 17408, 40, 8, 128, 151936, false},
    {"qwen3:32b", kFamilyQwen3, 64, 5120, 25600, 64, 8, 128, 151936, false},
};
constexpr int32_t kIdsQwen25 = 151'665, kIdsQwen3 = 151'669;
constexpr std::string_view kChatTemplate =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

Json make_config(const Size& size) {
  const bool qwen3 = size.family == kFamilyQwen3;
  return Json::object(
      {{"architectures", Json::array({qwen3 ? kQwen3.architecture : kQwen2.architecture})},
       {"model_type", qwen3 ? "qwen3" : "qwen2"},
       {"hidden_size", size.hidden},
       {"num_hidden_layers", size.layers},
       {"num_attention_heads", size.heads},
       {"num_key_value_heads", size.kv_heads},
       {"head_dim", size.head_dim},
       {"intermediate_size", size.intermediate},
       {"vocab_size", size.rows},
       {"rms_norm_eps", 1e-6},
       {"rope_theta", 1e6},
       {"rope_scaling", nullptr},
       {"max_position_embeddings", qwen3 ? 40960 : 32768},
       {"tie_word_embeddings", size.tied}});
}

// A model's tensors, with their types.
struct Plan {
  SyntheticSpec spec;
  std::string quant;
  std::vector<FieldLister::Field> fields;
  std::vector<DType> dtypes;  // of each field
};

Result<Plan> make_plan(std::string_view name, std::string_view quant) {
  Plan plan;
  YQ_TRY(plan.spec, synthetic_spec(name));
  const auto known = find_synthetic_quant(quant);
  if (!known) {
    return error(Code::kNotFound, "no synthetic quant {}: want q4_k_m, q8_0 or bf16",
                 Json(quant).dump());
  }
  plan.quant = quant;
  YQ_TRY(const ModelEntry* entry, find_model_entry(plan.spec.config));
  FieldLister lister;
  YQ_RETURN_IF_ERROR(entry->walk(plan.spec.config, lister));
  plan.fields = lister.fields();
  const Json& config = plan.spec.config;
  const SyntheticMix mix{.quant = *known,
                         .layers = config.find("num_hidden_layers")->as_int(),
                         .tied = config.find("tie_word_embeddings")->as_bool()};
  for (const auto& field : plan.fields) {
    plan.dtypes.push_back(synthetic_dtype(mix, field.name, field.shape));
  }
  return plan;
}

uint64_t elements_of(const FieldLister::Field& field) {
  uint64_t elements = 1;
  for (const int64_t dimension : field.shape) elements *= static_cast<uint64_t>(dimension);
  return elements;
}

void fill_field(const FieldLister::Field& field, DType dtype, uint64_t seed,
                std::span<std::byte> out) {
  if (field.shape.size() == 2) return fill_matrix(dtype, field.shape[1], seed, out);
  field.name.ends_with(".bias") ? fill_bias(seed, out) : fill_norm(seed, out);
}

SyntheticVocabulary make_vocabulary(const SyntheticSpec& spec) {
  return make_synthetic_vocabulary(spec.token_ids,
                                   static_cast<int32_t>(spec.config.find("vocab_size")->as_int()));
}

// Random bytes that tensors of one type and width look into at different places.
class SharedBlocks {
 public:
  void want(DType dtype, int64_t columns, uint64_t bytes) {
    Pool& pool = pools_[{dtype, columns}];
    pool.largest = std::max(pool.largest, bytes);
  }
  void fill() {
    for (auto& [key, pool] : pools_) {
      const auto& [dtype, columns] = key;
      pool.bytes.resize(pool.largest + kSharedBlockOffsets * dtype_info(dtype).block_bytes);
      fill_matrix(dtype, columns, kSeed + static_cast<uint64_t>(columns), pool.bytes);
    }
  }
  std::span<const std::byte> view(DType dtype, int64_t columns, uint64_t bytes, size_t index) {
    const size_t block = index * 37 % kSharedBlockOffsets;
    return std::span(pools_[{dtype, columns}].bytes)
        .subspan(block * dtype_info(dtype).block_bytes, bytes);
  }

 private:
  struct Pool {
    uint64_t largest = 0;
    std::vector<std::byte> bytes;
  };
  std::map<std::pair<DType, int64_t>, Pool> pools_;
};

class SyntheticCheckpoint final : public Checkpoint {
 public:
  explicit SyntheticCheckpoint(Plan plan)
      : plan_(std::move(plan)), vocabulary_(make_vocabulary(plan_.spec)) {
    make_tensors();
    tokenizer_.gguf_tokens.assign(vocabulary_.tokens.begin(), vocabulary_.tokens.end());
    tokenizer_.gguf_types = vocabulary_.types;
    tokenizer_.gguf_merges.assign(vocabulary_.merges.begin(), vocabulary_.merges.end());
    tokenizer_.gguf_pre = "qwen2";
    generation_ = Json::object(
        {{"eos_token_id", Json::array({vocabulary_.end_of_turn, vocabulary_.end_of_text})},
         {"pad_token_id", vocabulary_.end_of_text}});
    metadata_ = Json::object({{"synthetic", plan_.spec.name}, {"quant", plan_.quant}});
  }

  const Json& config() const override { return plan_.spec.config; }
  const Json& generation_config() const override { return generation_; }
  const TokenizerFiles& tokenizer() const override { return tokenizer_; }
  const std::string& chat_template() const override { return template_; }
  const Json& metadata() const override { return metadata_; }
  std::span<const Tensor> tensors() const override { return tensors_; }
  const Tensor* find(std::string_view name) const override {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : &tensors_[at->second];
  }
  std::string_view format() const override { return "synthetic"; }
  std::span<const Path> files() const override { return {}; }
  std::string fingerprint() const override {
    return fmt::format("synthetic:{}:{}:{:x}", plan_.spec.name, plan_.quant, kSeed);
  }

 private:
  void make_tensors() {
    for (size_t i = 0; i < plan_.fields.size(); ++i) {
      const auto& field = plan_.fields[i];
      const uint64_t bytes = *dtype_bytes(plan_.dtypes[i], elements_of(field));
      if (field.shape.size() == 2) blocks_.want(plan_.dtypes[i], field.shape[1], bytes);
    }
    blocks_.fill();
    for (size_t i = 0; i < plan_.fields.size(); ++i) {
      const auto& field = plan_.fields[i];
      const DType dtype = plan_.dtypes[i];
      const uint64_t bytes = *dtype_bytes(dtype, elements_of(field));
      Tensor tensor{.name = field.name, .dtype = dtype, .shape = field.shape, .bytes = {}};
      if (field.shape.size() == 2) {
        tensor.bytes = blocks_.view(dtype, field.shape[1], bytes, i);
      } else {
        vectors_.emplace_back(bytes);
        fill_field(field, dtype, kSeed + i, vectors_.back());
        tensor.bytes = vectors_.back();
      }
      tensors_.push_back(std::move(tensor));
      by_name_.emplace(field.name, i);
    }
  }

  const Plan plan_;
  const SyntheticVocabulary vocabulary_;
  TokenizerFiles tokenizer_;  // views into vocabulary_
  const std::string template_{kChatTemplate};
  Json generation_, metadata_;
  SharedBlocks blocks_;
  std::vector<std::vector<std::byte>> vectors_;
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

JsonArray json_list(const auto& items) { return JsonArray(items.begin(), items.end()); }

Json gguf_metadata(const Plan& plan) {
  const Json& config = plan.spec.config;
  const std::string arch = config.find("model_type")->as_string();
  Json out = Json::object({{"general.architecture", arch},
                           {"general.name", fmt::format("synthetic {}", plan.spec.name)}});
  constexpr std::string_view kKeys[][2] = {
      {"block_count", "num_hidden_layers"},
      {"context_length", "max_position_embeddings"},
      {"embedding_length", "hidden_size"},
      {"feed_forward_length", "intermediate_size"},
      {"attention.head_count", "num_attention_heads"},
      {"attention.head_count_kv", "num_key_value_heads"},
      {"attention.key_length", "head_dim"},
      {"attention.value_length", "head_dim"},
      {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
      {"rope.freq_base", "rope_theta"},
  };
  for (const auto& [gguf, hf] : kKeys) out.set(fmt::format("{}.{}", arch, gguf), *config.find(hf));
  const SyntheticVocabulary vocabulary = make_vocabulary(plan.spec);
  out.set("tokenizer.ggml.model", "gpt2");
  out.set("tokenizer.ggml.pre", "qwen2");
  out.set("tokenizer.ggml.tokens", json_list(vocabulary.tokens));
  out.set("tokenizer.ggml.token_type", json_list(vocabulary.types));
  out.set("tokenizer.ggml.merges", json_list(vocabulary.merges));
  out.set("tokenizer.ggml.eos_token_id", vocabulary.end_of_turn);
  out.set("tokenizer.ggml.padding_token_id", vocabulary.end_of_text);
  out.set("tokenizer.ggml.add_bos_token", false);
  out.set("tokenizer.chat_template", kChatTemplate);
  return out;
}

}  // namespace

std::vector<std::string_view> synthetic_names() {
  std::vector<std::string_view> names;
  for (const Size& size : kSizes) names.push_back(size.name);
  return names;
}

Result<SyntheticSpec> synthetic_spec(std::string_view name) {
  for (const Size& size : kSizes) {
    if (size.name != name) continue;
    return SyntheticSpec{.name = std::string(name),
                         .config = make_config(size),
                         .token_ids = size.family == kFamilyQwen3 ? kIdsQwen3 : kIdsQwen25};
  }
  return error(Code::kNotFound, "no synthetic model {}: want one of {}", Json(name).dump(),
               fmt::join(synthetic_names(), ", "));
}

Result<std::unique_ptr<Checkpoint>> make_synthetic_checkpoint(std::string_view name,
                                                              std::string_view quant) {
  YQ_TRY(Plan plan, make_plan(name, quant));
  return std::unique_ptr<Checkpoint>(std::make_unique<SyntheticCheckpoint>(std::move(plan)));
}

Status write_synthetic_gguf(std::string_view name, std::string_view quant, const Path& path) {
  YQ_TRY(const Plan plan, make_plan(name, quant));
  std::vector<GgufTensorSource> sources;
  for (size_t i = 0; i < plan.fields.size(); ++i) {
    const auto& field = plan.fields[i];
    sources.push_back({.name = gguf_name_of_hf(field.name),
                       .dtype = plan.dtypes[i],
                       .shape = field.shape,
                       .fill = [&plan, i](std::span<std::byte> out) {
                         fill_field(plan.fields[i], plan.dtypes[i], kSeed + (uint64_t{i} << 40),
                                    out);
                         return Status::ok();
                       }});
  }
  return write_gguf(path, gguf_metadata(plan), sources);
}

}  // namespace yunqi
