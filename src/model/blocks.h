// Parts that dense Qwen models share: their hyperparameters, the workspace of a step, and the
// load sequence. Models are not derived from one another; they call these functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/config_reader.h"
#include "model/fields.h"
#include "model/model.h"

namespace yunqi {

// Widths of a decoder with grouped-query attention and a gated MLP.
struct DenseConfig {
  int32_t layers = 0;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int32_t query_heads = 0, kv_heads = 0, head_dim = 0;
  int64_t vocab = 0;
  float norm_epsilon = 1e-6f;
  bool tied = false;  // the output matrix is the embedding
  RopeSpec rope;

  int64_t query_width() const { return int64_t{query_heads} * head_dim; }
  int64_t kv_width() const { return int64_t{kv_heads} * head_dim; }
  int64_t qkv_width() const { return query_width() + 2 * kv_width(); }
};

// Reads and range-checks the keys; problems stay in `config`. Features that no dense model here
// has (sliding windows, other activations) are reported as unsupported, by name.
DenseConfig read_dense_config(ConfigReader& config);

// The activations of one step, sized once for the most rows it may have.
class DenseWorkspace {
 public:
  static Result<DenseWorkspace> create(Device& device, const DenseConfig& config, int64_t max_rows);

  // Each [rows, its width], rows <= max_rows.
  Matrix<float> hidden(int64_t rows) const { return view(hidden_, rows); }
  Matrix<float> last(int64_t rows) const { return view(last_, rows); }  // rows with logits
  Matrix<float> qkv(int64_t rows) const { return view(qkv_, rows); }
  Matrix<float> attended(int64_t rows) const { return view(attended_, rows); }
  Matrix<float> gated(int64_t rows) const { return view(gated_, rows); }

 private:
  struct Block {
    Buffer storage;
    int64_t columns = 0;
  };
  Matrix<float> view(const Block& block, int64_t rows) const {
    YQ_CHECK(rows <= max_rows_, "{} rows of {}", rows, max_rows_);
    return {reinterpret_cast<float*>(block.storage.data()), rows, block.columns};
  }

  int64_t max_rows_ = 0;
  Block hidden_, last_, qkv_, attended_, gated_;
};

// The weights before and behind the layers.
struct DenseEnds {
  MatrixWeight embedding;
  MatrixWeight head;  // null when tied
  VectorWeight norm;
};

// Walks every field once: the list that verifies, counts, loads and makes checkpoints.
// `walk_layer(i)` names layer i's own, inside its scope.
void walk_dense(const DenseConfig& config, DenseEnds& ends, FieldVisitor& visitor,
                const std::function<void(size_t layer)>& walk_layer);

// A loaded dense model but for its weights and its layers' forward pass.
struct DenseParts {
  ModelInfo info;
  std::vector<LayerState> state;
  std::unique_ptr<RopeTable> rope;
  DenseWorkspace workspace;
};

// Attention's arguments that do not differ between dense models; head norms are left out.
AttentionArgs attention_args(const DenseConfig& config, const DenseParts& parts,
                             const StepBatch& batch, const KvLayer& kv);

// The activations of the last layer behind its attention. Only rows whose logits are wanted go on:
// the others have left their keys and values, which is all that is read of them.
struct LastRows {
  Matrix<float> hidden, attended, gated;
};
LastRows keep_logit_rows(Ops& ops, const DenseConfig& config, const DenseParts& parts,
                         const StepBatch& batch);

// The final norm and the output matrix. hidden: of keep_logit_rows.
void dense_logits(Ops& ops, const DenseConfig& config, const DenseEnds& ends,
                  Matrix<const float> hidden, Matrix<float> logits);

// Names every field of a model, `ends` among them, to a visitor.
using WalkFields = std::function<void(FieldVisitor&)>;
// Verifies and prepares every field `walk` names, then makes what goes with `config`. `config.rope`
// takes the context of the options.
Result<DenseParts> load_dense(const Checkpoint& checkpoint, Device& device,
                              const LoadOptions& options, DenseConfig& config,
                              const WalkFields& walk);

}  // namespace yunqi
