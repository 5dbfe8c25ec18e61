// Qwen2 (Qwen Team 2024, arXiv:2407.10671): Qwen1.5, Qwen2, Qwen2.5, Coder, Math and QwQ. A
// pre-norm decoder with grouped-query attention, biases on q, k and v, rotary positions and a gated
// SiLU MLP. Weights are immutable; forward() belongs to one thread.
#include <utility>
#include <vector>

#include "model/blocks.h"
#include "model/registry.h"

namespace yunqi {
namespace {

struct Layer {
  VectorWeight attention_norm, mlp_norm;
  MatrixWeight qkv, attention_out, gate_up, down;
};

struct Weights {
  DenseEnds ends;
  std::vector<Layer> layers;
};

void layer_fields(const DenseConfig& c, Layer& w, FieldVisitor& f) {
  f.vector("input_layernorm.weight", c.hidden, w.attention_norm);
  f.matrix({{"self_attn.q_proj", c.query_width()},
            {"self_attn.k_proj", c.kv_width()},
            {"self_attn.v_proj", c.kv_width()}},
           {.columns = c.hidden, .bias = true, .shard = Shard::kOutputs}, w.qkv);
  f.matrix({{"self_attn.o_proj", c.hidden}}, {.columns = c.query_width(), .shard = Shard::kInputs},
           w.attention_out);
  f.vector("post_attention_layernorm.weight", c.hidden, w.mlp_norm);
  f.matrix({{"mlp.gate_proj", c.intermediate}, {"mlp.up_proj", c.intermediate}},
           {.columns = c.hidden, .shard = Shard::kOutputs}, w.gate_up);
  f.matrix({{"mlp.down_proj", c.hidden}}, {.columns = c.intermediate, .shard = Shard::kInputs},
           w.down);
}

void fields(const DenseConfig& c, Weights& w, FieldVisitor& f) {
  w.layers.resize(static_cast<size_t>(c.layers));
  walk_dense(c, w.ends, f, [&](size_t i) { layer_fields(c, w.layers[i], f); });
}

Result<DenseConfig> read_config(const Json& json) {
  ConfigReader reader(json);
  DenseConfig config = read_dense_config(reader);
  YQ_RETURN_IF_ERROR(reader.status());
  return config;
}

class Qwen2 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(const Checkpoint& checkpoint, Device& device,
                                             const LoadOptions& options) {
    auto model = std::make_unique<Qwen2>();
    YQ_TRY(model->config_, read_config(checkpoint.config()));
    YQ_TRY(model->parts_,
           load_dense(checkpoint, device, options, model->config_,
                      [&](FieldVisitor& f) { fields(model->config_, model->weights_, f); }));
    ModelInfo& info = model->parts_.info;
    info.architecture = kQwen2.architecture;
    // A step looks up one row of an embedding that is not the output matrix too.
    if (!model->config_.tied) {
      info.weight_bytes_per_token -= model->weights_.ends.embedding->bytes();
    }
    return std::unique_ptr<Model>(std::move(model));
  }

  static Status walk(const Json& json, FieldVisitor& visitor) {
    YQ_TRY(const DenseConfig config, read_config(json));
    Weights unused;
    fields(config, unused, visitor);
    return Status::ok();
  }

  const ModelInfo& info() const override { return parts_.info; }
  std::span<const LayerState> state_spec() const override { return parts_.state; }

  void forward(Ops& ops, const StepBatch& batch, const StepState& state,
               Matrix<float> logits) override {
    const auto rows = static_cast<int64_t>(batch.tokens.size());
    const DenseWorkspace& work = parts_.workspace;
    const Matrix<float> qkv = work.qkv(rows);
    Matrix<float> x = work.hidden(rows), attended = work.attended(rows), gated = work.gated(rows);

    ops.embed(*weights_.ends.embedding, batch.tokens, x);
    for (size_t i = 0; i < weights_.layers.size(); ++i) {
      const Layer& w = weights_.layers[i];
      ops.norm_linear(x, norm(w.attention_norm), *w.qkv, qkv);
      ops.attention(qkv, attention_args(config_, parts_, batch, state.kv[i]), attended);
      if (i + 1 == weights_.layers.size()) {
        if (batch.logit_rows.empty()) return;
        const LastRows last = keep_logit_rows(ops, config_, parts_, batch);
        x = last.hidden;
        attended = last.attended;
        gated = last.gated;
      }
      ops.linear_add(attended, *w.attention_out, x);
      ops.norm_gated_linear(x, norm(w.mlp_norm), *w.gate_up, gated);
      ops.linear_add(gated, *w.down, x);
    }
    dense_logits(ops, config_, weights_.ends, x, logits);
  }

 private:
  Norm norm(const VectorWeight& w) const { return {w.values, config_.norm_epsilon}; }

  DenseConfig config_;
  Weights weights_;
  DenseParts parts_;
};

}  // namespace

const ModelEntry kQwen2{.architecture = "Qwen2ForCausalLM",
                        .models = "Qwen1.5, Qwen2, Qwen2.5, Coder, Math, QwQ",
                        .load = &Qwen2::load,
                        .walk = &Qwen2::walk};

}  // namespace yunqi
