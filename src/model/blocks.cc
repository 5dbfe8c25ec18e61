// See blocks.h. Sizes come from range-checked hyperparameters, so that products fit in 64 bits.
#include "model/blocks.h"

#include <algorithm>

namespace yunqi {
namespace {

constexpr int64_t kMaxModelLayers = 1'024;
constexpr int64_t kMaxHidden = 65'536;
constexpr int64_t kMaxIntermediate = 1'048'576;
constexpr int64_t kMaxHeads = 1'024;
constexpr int64_t kMaxHeadDim = 512;
constexpr int64_t kHeadDimUnit = 8;  // heads are whole groups of this, for the kernels
constexpr int64_t kMaxVocab = 4'194'304;
constexpr int64_t kMaxStepRows = 65'536;

void read_heads(ConfigReader& config, DenseConfig& out) {
  const int64_t heads = config.integer("num_attention_heads", 1, kMaxHeads);
  const int64_t kv_heads = config.integer_or("num_key_value_heads", heads, 1, kMaxHeads);
  if (heads % kv_heads != 0) {
    config.bad(fmt::format("num_attention_heads {} is no multiple of num_key_value_heads {}", heads,
                           kv_heads));
  }
  if (!config.has("head_dim") && out.hidden % heads != 0) {
    config.bad(
        fmt::format("hidden_size {} is no multiple of num_attention_heads {}", out.hidden, heads));
  }
  const int64_t head_dim = config.integer_or("head_dim", out.hidden / heads, 1, kMaxHeadDim);
  if (head_dim % kHeadDimUnit != 0 || head_dim > kMaxHeadDim || head_dim == 0) {
    config.bad(fmt::format("head_dim: want a multiple of {} up to {}, found {}", kHeadDimUnit,
                           kMaxHeadDim, head_dim));
  }
  out.query_heads = static_cast<int32_t>(heads);
  out.kv_heads = static_cast<int32_t>(kv_heads);
  out.head_dim = static_cast<int32_t>(head_dim);
}

void refuse_variants(ConfigReader& config) {
  const std::string activation = config.text_or("hidden_act", "silu");
  if (activation != "silu") {
    config.unsupported(fmt::format("hidden_act {} (supported: silu)", Json(activation).dump()));
  }
  if (config.flag_or("use_sliding_window", false)) {
    config.unsupported("use_sliding_window: true (supported: full attention)");
  }
  config.want_each("layer_types", "full_attention");
  if (config.has("quantization_config")) {
    ConfigReader quantization = config.inside("quantization_config");
    config.unsupported(fmt::format("quantization_config {} (supported: plain weights and GGUF)",
                                   Json(quantization.text_or("quant_method", "")).dump()));
  }
  if (config.has("dual_chunk_attention_config")) {
    config.unsupported("dual_chunk_attention_config (supported: full attention)");
  }
}

}  // namespace

DenseConfig read_dense_config(ConfigReader& config) {
  DenseConfig out;
  out.layers = static_cast<int32_t>(config.integer("num_hidden_layers", 1, kMaxModelLayers));
  out.hidden = config.integer("hidden_size", 1, kMaxHidden);
  out.intermediate = config.integer("intermediate_size", 1, kMaxIntermediate);
  out.vocab = config.integer("vocab_size", 1, kMaxVocab);
  out.norm_epsilon = static_cast<float>(config.real_or("rms_norm_eps", 1e-6, 1e-12, 1));
  out.tied = config.flag_or("tie_word_embeddings", false);
  read_heads(config, out);
  out.rope = read_rope(config, out.head_dim);
  refuse_variants(config);
  return out;
}

Result<DenseWorkspace> DenseWorkspace::create(Device& device, const DenseConfig& config,
                                              int64_t max_rows) {
  DenseWorkspace work;
  work.max_rows_ = max_rows;
  const auto allocate = [&](int64_t columns, Block& block) -> Status {
    block.columns = columns;
    YQ_TRY(block.storage, device.allocate(static_cast<size_t>(max_rows * columns) * sizeof(float)));
    return Status::ok();
  };
  YQ_RETURN_IF_ERROR(allocate(config.hidden, work.hidden_));
  YQ_RETURN_IF_ERROR(allocate(config.hidden, work.last_));
  YQ_RETURN_IF_ERROR(allocate(config.qkv_width(), work.qkv_));
  YQ_RETURN_IF_ERROR(allocate(config.query_width(), work.attended_));
  YQ_RETURN_IF_ERROR(allocate(config.intermediate, work.gated_));
  return work;
}

void walk_dense(const DenseConfig& config, DenseEnds& ends, FieldVisitor& visitor,
                const std::function<void(size_t layer)>& walk_layer) {
  const MatrixShape shape{.columns = config.hidden, .shard = Shard::kOutputs};
  visitor.matrix({{"model.embed_tokens", config.vocab}}, shape, ends.embedding);
  for (size_t i = 0; i < static_cast<size_t>(config.layers); ++i) {
    visitor.set_scope(fmt::format("model.layers.{}.", i));
    walk_layer(i);
  }
  visitor.set_scope("");
  visitor.vector("model.norm.weight", config.hidden, ends.norm);
  if (!config.tied) visitor.matrix({{"lm_head", config.vocab}}, shape, ends.head);
}

LastRows keep_logit_rows(Ops& ops, const DenseConfig& config, const DenseParts& parts,
                         const StepBatch& batch) {
  const DenseWorkspace& work = parts.workspace;
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const auto wanted = static_cast<int64_t>(batch.logit_rows.size());
  LastRows last{work.hidden(rows), work.attended(rows), work.gated(wanted)};
  if (wanted == rows) return last;
  // Attention has used up q, k and v.
  const Matrix<float> attended = work.qkv(wanted).slice_columns(0, config.query_width());
  ops.gather_rows(last.attended, batch.logit_rows, attended);
  ops.gather_rows(last.hidden, batch.logit_rows, work.last(wanted));
  last.attended = attended;
  last.hidden = work.last(wanted);
  return last;
}

void dense_logits(Ops& ops, const DenseConfig& config, const DenseEnds& ends,
                  Matrix<const float> hidden, Matrix<float> logits) {
  ops.norm_linear(hidden, {ends.norm.values, config.norm_epsilon},
                  config.tied ? *ends.embedding : *ends.head, logits);
}

AttentionArgs attention_args(const DenseConfig& config, const DenseParts& parts,
                             const StepBatch& batch, const KvLayer& kv) {
  AttentionArgs args;
  args.query_heads = config.query_heads;
  args.rope = parts.rope.get();
  args.norm_epsilon = config.norm_epsilon;
  args.positions = batch.positions;
  args.runs = batch.runs;
  args.kv = kv;
  return args;
}

Result<DenseParts> load_dense(const Checkpoint& checkpoint, Device& device,
                              const LoadOptions& options, DenseConfig& config,
                              const WalkFields& walk) {
  if (options.max_rows < 1 || options.max_rows > kMaxStepRows) {
    return error(Code::kInvalidArgument, "rows of a step: want 1 to {}, found {}", kMaxStepRows,
                 options.max_rows);
  }
  if (options.max_context < 0 || options.max_context > config.rope.max_positions) {
    return error(Code::kInvalidArgument,
                 "context: want 1 to {} tokens, which the model's config allows, found {}",
                 config.rope.max_positions, options.max_context);
  }
  if (options.max_context > 0) config.rope.max_positions = options.max_context;

  FieldChecker checker(checkpoint);
  walk(checker);
  YQ_RETURN_IF_ERROR(checker.finish());
  FieldLoader loader(checkpoint, device, options.numerics);
  walk(loader);
  YQ_RETURN_IF_ERROR(loader.status());

  DenseParts parts;
  YQ_TRY(parts.rope, device.prepare_rope(config.rope));
  YQ_TRY(parts.workspace, DenseWorkspace::create(device, config, options.max_rows));
  parts.state.assign(static_cast<size_t>(config.layers),
                     PagedKv{.kv_heads = config.kv_heads, .head_dim = config.head_dim});
  parts.info.layers = config.layers;
  parts.info.hidden = static_cast<int32_t>(config.hidden);
  parts.info.vocab_rows = static_cast<int32_t>(config.vocab);
  parts.info.query_heads = config.query_heads;
  parts.info.head_dim = config.head_dim;
  parts.info.widest_input = std::max({config.hidden, config.query_width(), config.intermediate});
  parts.info.max_context = config.rope.max_positions;
  parts.info.parameters = checker.parameters();
  parts.info.weight_bytes = loader.bytes();
  parts.info.weight_bytes_per_token = loader.bytes();
  return parts;
}

}  // namespace yunqi
