// Qwen3 (Qwen Team 2025, arXiv:2505.09388), dense. A pre-norm decoder with grouped-query attention,
// an RMSNorm on each head of q and k before the rotary positions, and a gated SiLU MLP; head_dim is
// its own number. Weights are immutable; forward() belongs to one thread.
#include <utility>
#include <vector>

#include "model/blocks.h"
#include "model/registry.h"

namespace yunqi {
namespace {

struct Config : DenseConfig {
  bool attention_bias = false;
};

struct Layer {
  VectorWeight attention_norm, q_norm, k_norm, mlp_norm;
  MatrixWeight qkv, attention_out, gate_up, down;
};

struct Weights {
  DenseEnds ends;
  std::vector<Layer> layers;
};

void layer_fields(const Config& c, Layer& w, FieldVisitor& f) {
  f.vector("input_layernorm.weight", c.hidden, w.attention_norm);
  f.matrix({{"self_attn.q_proj", c.query_width()},
            {"self_attn.k_proj", c.kv_width()},
            {"self_attn.v_proj", c.kv_width()}},
           {.columns = c.hidden, .bias = c.attention_bias, .shard = Shard::kOutputs}, w.qkv);
  f.matrix({{"self_attn.o_proj", c.hidden}},
           {.columns = c.query_width(), .bias = c.attention_bias, .shard = Shard::kInputs},
           w.attention_out);
  f.vector("self_attn.q_norm.weight", c.head_dim, w.q_norm);
  f.vector("self_attn.k_norm.weight", c.head_dim, w.k_norm);
  f.vector("post_attention_layernorm.weight", c.hidden, w.mlp_norm);
  f.matrix({{"mlp.gate_proj", c.intermediate}, {"mlp.up_proj", c.intermediate}},
           {.columns = c.hidden, .shard = Shard::kOutputs}, w.gate_up);
  f.matrix({{"mlp.down_proj", c.hidden}}, {.columns = c.intermediate, .shard = Shard::kInputs},
           w.down);
}

void fields(const Config& c, Weights& w, FieldVisitor& f) {
  w.layers.resize(static_cast<size_t>(c.layers));
  walk_dense(c, w.ends, f, [&](size_t i) { layer_fields(c, w.layers[i], f); });
}

Result<Config> read_config(const Json& json) {
  ConfigReader reader(json);
  Config config{read_dense_config(reader), reader.flag_or("attention_bias", false)};
  YQ_RETURN_IF_ERROR(reader.status());
  return config;
}

class Qwen3 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(const Checkpoint& checkpoint, Device& device,
                                             const LoadOptions& options) {
    auto model = std::make_unique<Qwen3>();
    YQ_TRY(model->config_, read_config(checkpoint.config()));
    YQ_TRY(model->parts_,
           load_dense(checkpoint, device, options, model->config_,
                      [&](FieldVisitor& f) { fields(model->config_, model->weights_, f); }));
    ModelInfo& info = model->parts_.info;
    info.architecture = kQwen3.architecture;
    // A step looks up one row of an embedding that is not the output matrix too.
    if (!model->config_.tied) {
      info.weight_bytes_per_token -= model->weights_.ends.embedding->bytes();
    }
    return std::unique_ptr<Model>(std::move(model));
  }

  static Status walk(const Json& json, FieldVisitor& visitor) {
    YQ_TRY(const Config config, read_config(json));
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
      AttentionArgs args = attention_args(config_, parts_, batch, state.kv[i]);
      args.q_norm = w.q_norm.values;
      args.k_norm = w.k_norm.values;
      ops.attention(qkv, args, attended);
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

  Config config_;
  Weights weights_;
  DenseParts parts_;
};

}  // namespace

const ModelEntry kQwen3{.architecture = "Qwen3ForCausalLM",
                        .models = "Qwen3 dense",
                        .load = &Qwen3::load,
                        .walk = &Qwen3::walk};

}  // namespace yunqi
