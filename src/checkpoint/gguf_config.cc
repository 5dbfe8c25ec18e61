// Hyperparameters: each key has a type and a range, checked here once for every architecture.
#include "checkpoint/gguf_config.h"

#include <optional>

#include "checkpoint/limits.h"
#include "checkpoint/plain_name.h"

namespace yunqi {
namespace {

struct Architecture {
  std::string_view gguf, model_type, class_name;
  bool experts;
  bool normalizes_expert_weights;  // Hugging Face's norm_topk_prob, which GGUF does not store
};
constexpr Architecture kArchitectures[] = {
    {"qwen", "qwen", "QWenLMHeadModel", false, false},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", false, false},
    {"qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM", true, false},
    {"qwen2vl", "qwen2_vl", "Qwen2VLForConditionalGeneration", false, false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", false, false},
    {"qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM", true, true},
    {"qwen3vl", "qwen3_vl", "Qwen3VLForConditionalGeneration", false, false},
    {"qwen3vlmoe", "qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration", true, true},
    {"qwen3next", "qwen3_next", "Qwen3NextForCausalLM", true, true},
    {"qwen35", "qwen3_5", "Qwen3_5ForCausalLM", false, false},
    {"qwen35moe", "qwen3_5_moe", "Qwen3_5MoeForCausalLM", true, true},
    {"qwen4exp", "qwen4_exp", "Qwen4ExpForCausalLM", true, true},
};

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.gguf == name) return &architecture;
  }
  return nullptr;
}

enum class Need { kAlways, kDense, kExperts, kNever };  // who must have the key

struct IntegerKey {
  std::string_view gguf, hf;
  int64_t low, high;
  Need need;
};
constexpr int64_t kMaxWidth = int64_t{1} << 24, kMaxHeads = 4'096, kMaxHeadDim = 4'096;
constexpr uint64_t kMaxArchitectureBytes = 64;
constexpr int64_t kMaxContext = int64_t{1} << 31, kMaxExperts = 65'536;
constexpr IntegerKey kIntegerKeys[] = {
    {"block_count", "num_hidden_layers", 1, kMaxLayers, Need::kAlways},
    {"embedding_length", "hidden_size", 1, kMaxWidth, Need::kAlways},
    {"feed_forward_length", "intermediate_size", 1, kMaxWidth, Need::kDense},
    {"attention.head_count", "num_attention_heads", 1, kMaxHeads, Need::kAlways},
    {"attention.head_count_kv", "num_key_value_heads", 1, kMaxHeads, Need::kNever},
    {"attention.key_length", "head_dim", 1, kMaxHeadDim, Need::kNever},
    {"context_length", "max_position_embeddings", 1, kMaxContext, Need::kAlways},
    {"expert_count", "num_experts", 1, kMaxExperts, Need::kExperts},
    {"expert_used_count", "num_experts_per_tok", 1, kMaxExperts, Need::kExperts},
    {"expert_feed_forward_length", "moe_intermediate_size", 1, kMaxWidth, Need::kNever},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", 1, kMaxWidth,
     Need::kNever},
};

// Reads one model's keys, "<architecture>.<key>".
class ConfigReader {
 public:
  ConfigReader(const GgufMetadata& metadata, std::string_view name)
      : metadata_(metadata), name_(name), known_(find_architecture(name)) {}

  Result<Json> read(std::span<const Tensor> tensors) {
    YQ_RETURN_IF_ERROR(read_names());
    YQ_RETURN_IF_ERROR(read_integers());
    if (known_ != nullptr) YQ_RETURN_IF_ERROR(check_heads());
    YQ_RETURN_IF_ERROR(read_reals());
    YQ_RETURN_IF_ERROR(read_rope_scaling());
    YQ_RETURN_IF_ERROR(read_tensors(tensors));
    return std::move(config_);
  }

 private:
  std::string key(std::string_view rest) const { return fmt::format("{}.{}", name_, rest); }
  int64_t get(std::string_view hf) const {
    const Json* value = config_.find(hf);
    return value == nullptr ? 0 : value->as_int();
  }
  Status missing(std::string_view rest) const {
    return error(Code::kBadFile, "the required key {} is missing", key(rest));
  }

  Status read_names() {
    const std::string class_name =
        known_ != nullptr ? std::string(known_->class_name) : fmt::format("gguf:{}", name_);
    config_.set("architectures", Json::array({class_name}));
    config_.set("model_type",
                known_ != nullptr ? std::string(known_->model_type) : std::string(name_));
    return Status::ok();
  }

  Status read_integers() {
    for (const IntegerKey& wanted : kIntegerKeys) {
      const std::string name = key(wanted.gguf);
      const GgufValue* value = metadata_.find(name);
      // Other architectures have one number a layer here; they are refused later, by their name.
      if (known_ == nullptr && value != nullptr && value->type == GgufType::kArray) continue;
      YQ_TRY(const auto number, metadata_.integer(name, wanted.low, wanted.high));
      if (number) {
        config_.set(wanted.hf, *number);
      } else if (known_ != nullptr && (wanted.need == Need::kAlways ||
                                       (wanted.need == Need::kDense && !known_->experts) ||
                                       (wanted.need == Need::kExperts && known_->experts))) {
        return missing(wanted.gguf);
      }
    }
    if (known_ != nullptr && known_->experts) {
      config_.set("norm_topk_prob", known_->normalizes_expert_weights);
    }
    return Status::ok();
  }

  // Fills in what GGUF leaves out, and checks that the numbers fit each other.
  Status check_heads() {
    const int64_t heads = get("num_attention_heads"), hidden = get("hidden_size");
    if (config_.find("num_key_value_heads") == nullptr) config_.set("num_key_value_heads", heads);
    if (heads % get("num_key_value_heads") != 0) {
      return error(Code::kBadFile, "{} attention heads can't share {} key-value heads", heads,
                   get("num_key_value_heads"));
    }
    if (config_.find("head_dim") == nullptr) {
      if (hidden % heads != 0) {
        return error(Code::kBadFile, "{} is missing and {} heads do not divide {}",
                     key("attention.key_length"), heads, hidden);
      }
      config_.set("head_dim", hidden / heads);
    }
    const int64_t head_dim = get("head_dim");
    YQ_TRY(const auto value_length,
           metadata_.integer(key("attention.value_length"), 1, kMaxHeadDim));
    if (value_length.value_or(head_dim) != head_dim) {
      return error(Code::kUnsupported, "keys of {} and values of {} dimensions a head", head_dim,
                   *value_length);
    }
    YQ_TRY(const auto rotated, metadata_.integer(key("rope.dimension_count"), 2, head_dim));
    if (rotated && *rotated != head_dim) {
      config_.set("partial_rotary_factor",
                  static_cast<double>(*rotated) / static_cast<double>(head_dim));
    }
    if (get("num_experts_per_tok") > get("num_experts")) {
      return error(Code::kBadFile, "{} experts a token of {}", get("num_experts_per_tok"),
                   get("num_experts"));
    }
    return Status::ok();
  }

  Status read_reals() {
    YQ_TRY(const auto epsilon, metadata_.real(key("attention.layer_norm_rms_epsilon")));
    if (!epsilon && known_ != nullptr) return missing("attention.layer_norm_rms_epsilon");
    if (epsilon) {
      if (*epsilon <= 0 || *epsilon > 1) {
        return error(Code::kBadFile, "key {}: want a number above 0 and up to 1, found {}",
                     key("attention.layer_norm_rms_epsilon"), *epsilon);
      }
      config_.set("rms_norm_eps", *epsilon);
    }
    YQ_TRY(const auto base, metadata_.real(key("rope.freq_base")));
    if (base && (*base < 1 || *base > 1e12)) {
      return error(Code::kBadFile, "key {}: want 1 to 1e12, found {}", key("rope.freq_base"),
                   *base);
    }
    config_.set("rope_theta", base.value_or(10000.0));  // the value of a file that names none
    return Status::ok();
  }

  Status read_rope_scaling() {
    config_.set("rope_scaling", nullptr);
    YQ_TRY(const auto type, metadata_.text(key("rope.scaling.type")));
    if (!type || *type == "none") return Status::ok();
    YQ_TRY(const auto factor, metadata_.real(key("rope.scaling.factor")));
    if (!factor) return missing("rope.scaling.factor");
    if (*factor <= 0 || *factor > 1e6) {
      return error(Code::kBadFile, "key {}: want a number above 0 and up to 1e6, found {}",
                   key("rope.scaling.factor"), *factor);
    }
    Json scaling = Json::object({{"rope_type", sanitize_utf8(*type)}, {"factor", *factor}});
    YQ_TRY(const auto original,
           metadata_.integer(key("rope.scaling.original_context_length"), 1, kMaxContext));
    if (original) scaling.set("original_max_position_embeddings", *original);
    constexpr std::string_view kReals[][2] = {
        {"rope.scaling.attn_factor", "attention_factor"},
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"},
    };
    for (const auto& [gguf, hf] : kReals) {
      YQ_TRY(const auto value, metadata_.real(key(gguf)));
      if (value) scaling.set(hf, *value);
    }
    config_.set("rope_scaling", std::move(scaling));
    return Status::ok();
  }

  Status read_tensors(std::span<const Tensor> tensors) {
    const Tensor* embedding = nullptr;
    bool has_head = false;
    for (const Tensor& tensor : tensors) {
      if (tensor.name == "model.embed_tokens.weight") embedding = &tensor;
      if (tensor.name == "lm_head.weight") has_head = true;
    }
    config_.set("tie_word_embeddings", !has_head);
    if (embedding == nullptr) {
      if (known_ == nullptr) return Status::ok();
      return error(Code::kBadFile, "the required tensor token_embd.weight is missing");
    }
    if (embedding->shape.size() != 2) {
      return error(Code::kBadFile, "tensor token_embd.weight: want 2 dimensions, found {}",
                   embedding->describe());
    }
    config_.set("vocab_size", embedding->shape[0]);
    return Status::ok();
  }

  const GgufMetadata& metadata_;
  const std::string_view name_;
  const Architecture* const known_;  // null for architectures that are not Qwen's
  Json config_ = Json::object();
};

}  // namespace

Result<Json> gguf_config(const GgufMetadata& metadata, std::span<const Tensor> tensors) {
  YQ_TRY(const auto architecture, metadata.text("general.architecture"));
  if (!architecture) {
    return error(Code::kBadFile, "the required key general.architecture is missing");
  }
  if (!is_plain_name(*architecture, kMaxArchitectureBytes)) {
    return error(Code::kBadFile, "key general.architecture: want a name, found {}",
                 quoted_start(*architecture));
  }
  return ConfigReader(metadata, *architecture).read(tensors);
}

}  // namespace yunqi
