// Runs a checkpoint on the CPU for tests: one sequence, any chunking, logits of every row. Pages
// are handed out in a scattered order, so that a wrong page table shows.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/model.h"
#include "ops/cpu/cpu_device.h"

namespace yunqi {

class ModelRunner {
 public:
  static Result<ModelRunner> open(const Path& path, const Numerics& numerics,
                                  const std::string& isa = "", int64_t max_rows = 64) {
    ModelRunner runner;
    runner.numerics_ = numerics;
    YQ_TRY(runner.checkpoint_, Checkpoint::open(path));
    YQ_TRY(runner.device_, make_cpu_device({.threads = 2, .isa = isa}));
    const LoadOptions options{.numerics = numerics, .max_rows = max_rows};
    YQ_TRY(runner.model_, load_model(*runner.checkpoint_, *runner.device_, options));
    YQ_TRY(runner.ops_, runner.device_->make_ops(ops_limits(*runner.model_, options), numerics));
    return runner;
  }

  const ModelInfo& info() const { return model_->info(); }

  // Starts a new sequence of up to `context` tokens.
  Status reset(int64_t context) {
    done_ = 0;
    const int64_t pages = (context + kPageTokens - 1) / kPageTokens;
    pages_.resize(static_cast<size_t>(pages));
    std::iota(pages_.begin(), pages_.end(), 0);
    std::reverse(pages_.begin(), pages_.end());
    storage_.clear();
    layers_.clear();
    for (const LayerState& state : model_->state_spec()) {
      const auto& spec = std::get<PagedKv>(state);
      const KvLayout layout{spec.kv_heads, spec.head_dim, kPageTokens, numerics_.kv};
      const uint64_t stride = device_->kv_page_bytes(layout);
      YQ_TRY(Buffer buffer, device_->allocate(stride * static_cast<uint64_t>(pages)));
      layers_.push_back({buffer.data(), stride, layout});
      storage_.push_back(std::move(buffer));
    }
    return Status::ok();
  }

  // Appends the tokens to the sequence in one step; the result is [tokens, vocab_rows].
  Result<std::vector<float>> step(std::span<const int32_t> tokens) {
    const auto rows = static_cast<int32_t>(tokens.size());
    std::vector<Position> positions;
    std::vector<int32_t> logit_rows;
    for (int32_t i = 0; i < rows; ++i) {
      positions.push_back({done_ + i, done_ + i, done_ + i});
      logit_rows.push_back(i);
    }
    const SequenceRun run{.first_row = 0, .rows = rows, .context = done_, .pages = pages_};
    std::vector<float> logits(static_cast<size_t>(rows) * static_cast<size_t>(info().vocab_rows));
    model_->forward(*ops_, {tokens, positions, {&run, 1}, logit_rows}, {layers_},
                    Matrix<float>(logits.data(), rows, info().vocab_rows));
    YQ_RETURN_IF_ERROR(ops_->sync());
    done_ += rows;
    return logits;
  }

  // The whole sequence in steps of `chunk` rows; the last may be shorter.
  Result<std::vector<float>> run(std::span<const int32_t> tokens, size_t chunk) {
    YQ_RETURN_IF_ERROR(reset(static_cast<int64_t>(tokens.size())));
    std::vector<float> all;
    for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
      YQ_TRY(auto part, step(tokens.subspan(begin, std::min(chunk, tokens.size() - begin))));
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

 private:
  static constexpr int32_t kPageTokens = 32;

  Numerics numerics_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Ops> ops_;
  int32_t done_ = 0;
  std::vector<int32_t> pages_;
  std::vector<Buffer> storage_;
  std::vector<KvLayer> layers_;
};

}  // namespace yunqi
