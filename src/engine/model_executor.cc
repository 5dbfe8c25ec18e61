// See model_executor.h. Owns the model, its operations, KV buffers and logits; the engine thread
// runs it.
#include "engine/model_executor.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/checked_math.h"
#include "base/log.h"
#include "base/memory.h"

namespace yunqi {
namespace {

constexpr uint64_t kDefaultContexts = 4;     // full-context sequences that fit by default
constexpr uint64_t kDefaultShareOfFree = 4;  // at most a quarter of the free memory,
constexpr uint64_t kLargestShareOfFree = 2;  // or up to half when one context needs more
// A context that nobody asked for may shrink to what memory holds, down to this.
constexpr int64_t kLeastContext = 2048;

// Layers whose state has the same layout share one buffer, [layers][pages].
struct LayerKind {
  KvLayout layout;
  uint64_t page_bytes = 0;
  uint64_t layers = 0;
};

struct KvPlan {
  std::vector<LayerKind> kinds;
  std::vector<size_t> kind_of_layer;
  uint64_t page_bytes = 0;  // of one page over all layers
  int64_t max_context = 0;
  int32_t pages = 0;
};

Result<KvPlan> describe_layers(const Model& model, const Device& device,
                               const ModelExecutorOptions& options) {
  KvPlan plan;
  for (const LayerState& state : model.state_spec()) {
    const auto* paged = std::get_if<PagedKv>(&state);
    if (paged == nullptr) {
      return error(Code::kUnsupported, "{}: layers with recurrent state cannot run yet",
                   model.info().architecture);
    }
    const auto same = std::find_if(plan.kinds.begin(), plan.kinds.end(), [&](const LayerKind& k) {
      return k.layout.kv_heads == paged->kv_heads && k.layout.head_dim == paged->head_dim;
    });
    plan.kind_of_layer.push_back(static_cast<size_t>(same - plan.kinds.begin()));
    if (same == plan.kinds.end()) {
      LayerKind kind;
      kind.layout = {paged->kv_heads, paged->head_dim, options.page_tokens,
                     options.load.numerics.kv};
      kind.page_bytes = device.kv_page_bytes(kind.layout);
      plan.kinds.push_back(kind);
    }
    LayerKind& kind = plan.kinds[plan.kind_of_layer.back()];
    ++kind.layers;
    plan.page_bytes += kind.page_bytes;
  }
  if (plan.page_bytes == 0) {
    return error(Code::kUnsupported, "{}: no layer keeps keys and values",
                 model.info().architecture);
  }
  return plan;
}

// Chooses the number of pages and, when nobody set it, the context.
Status size_pool(KvPlan& plan, const ModelInfo& info, const ModelExecutorOptions& options,
                 uint64_t available) {
  const auto page_tokens = static_cast<uint64_t>(options.page_tokens);
  const auto pages_of = [&](int64_t context) {
    return (static_cast<uint64_t>(context) + page_tokens - 1) / page_tokens;
  };
  plan.max_context = info.max_context;
  const uint64_t full = pages_of(info.max_context);
  uint64_t pages = options.kv_bytes / plan.page_bytes;
  if (options.kv_bytes == 0) {
    const uint64_t quarter = available / kDefaultShareOfFree / plan.page_bytes;
    const uint64_t half = available / kLargestShareOfFree / plan.page_bytes;
    pages = std::clamp(quarter, std::min(full, half), full * kDefaultContexts);
    if (pages < full && options.load.max_context == 0) {
      plan.max_context = static_cast<int64_t>(pages * page_tokens);
      if (plan.max_context >= std::min(kLeastContext, info.max_context)) {
        log_warning(
            "context is {} tokens, not the model's {}: {} MiB of KV memory hold no more; "
            "set --context and --kv-memory for another",
            plan.max_context, info.max_context, pages * plan.page_bytes >> 20);
        plan.pages = static_cast<int32_t>(pages);
        return Status::ok();
      }
    }
  }
  if (pages < full) {
    return error(Code::kNoResources,
                 "one context of {} tokens needs {} MiB of KV memory; {} MiB may be used of {} MiB "
                 "available; set a smaller --context or a larger --kv-memory",
                 info.max_context, (full * plan.page_bytes >> 20) + 1,
                 pages * plan.page_bytes >> 20, available >> 20);
  }
  plan.pages = static_cast<int32_t>(std::min(pages, uint64_t{1} << 30));
  return Status::ok();
}

class ModelExecutor final : public Executor {
 public:
  ModelExecutor(std::unique_ptr<Model> model, std::unique_ptr<Ops> ops, std::vector<Buffer> buffers,
                std::vector<KvLayer> kv, Buffer logits, const ExecutorLimits& limits)
      : model_(std::move(model)),
        ops_(std::move(ops)),
        buffers_(std::move(buffers)),
        kv_(std::move(kv)),
        logits_(std::move(logits)),
        limits_(limits) {
    runs_.reserve(static_cast<size_t>(limits.max_rows));
  }

  const ExecutorLimits& limits() const override { return limits_; }

  Result<Matrix<float>> execute(const StepPlan& plan) override {
    runs_.clear();
    for (const PlannedRun& planned : plan.runs) runs_.push_back(planned.run);
    const StepBatch batch{plan.tokens, plan.positions, runs_, plan.logit_rows};
    const Matrix<float> logits(reinterpret_cast<float*>(logits_.data()),
                               static_cast<int64_t>(plan.logit_rows.size()), limits_.vocab);
    model_->forward(*ops_, batch, StepState{kv_}, logits);
    YQ_RETURN_IF_ERROR(ops_->sync());
    return logits;
  }

  uint64_t page_bytes() const override {
    uint64_t bytes = 0;
    for (const KvLayer& layer : kv_) bytes += layer.page_stride;
    return bytes;
  }
  Status read_page(int32_t page, std::span<std::byte> bytes) override {
    YQ_RETURN_IF_ERROR(check_page(page, bytes.size()));
    size_t at = 0;
    for (const KvLayer& layer : kv_) {
      std::memcpy(bytes.data() + at, page_of(layer, page), layer.page_stride);
      at += layer.page_stride;
    }
    return Status::ok();
  }
  Status write_page(int32_t page, std::span<const std::byte> bytes) override {
    YQ_RETURN_IF_ERROR(check_page(page, bytes.size()));
    size_t at = 0;
    for (const KvLayer& layer : kv_) {
      std::memcpy(page_of(layer, page), bytes.data() + at, layer.page_stride);
      at += layer.page_stride;
    }
    return Status::ok();
  }

 private:
  static std::byte* page_of(const KvLayer& layer, int32_t page) {
    return layer.data + static_cast<uint64_t>(page) * layer.page_stride;
  }
  Status check_page(int32_t page, size_t bytes) const {
    if (page >= 0 && page < limits_.pages && bytes == page_bytes()) return Status::ok();
    return error(Code::kInternal, "page {} of {}, {} bytes of {}", page, limits_.pages, bytes,
                 page_bytes());
  }

  // Members go in reverse: operations before the memory they work on.
  const std::unique_ptr<Model> model_;
  const std::unique_ptr<Ops> ops_;
  const std::vector<Buffer> buffers_;
  const std::vector<KvLayer> kv_;  // by layer, borrowed from buffers_
  const Buffer logits_;            // [max_logit_rows, vocab]
  const ExecutorLimits limits_;
  std::vector<SequenceRun> runs_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_model_executor(std::unique_ptr<Model> model, Device& device,
                                                      const ModelExecutorOptions& options) {
  if (options.page_tokens <= 0 || options.max_logit_rows <= 0 || options.load.max_rows <= 0) {
    return error(Code::kInvalidArgument,
                 "page_tokens, max_logit_rows and max_rows must be positive, found {}, {} and {}",
                 options.page_tokens, options.max_logit_rows, options.load.max_rows);
  }
  const ModelInfo& info = model->info();
  YQ_TRY(KvPlan plan, describe_layers(*model, device, options));
  YQ_RETURN_IF_ERROR(size_pool(plan, info, options, available_memory_bytes()));
  std::vector<Buffer> buffers;
  for (const LayerKind& kind : plan.kinds) {
    const auto one_layer =
        checked_mul<uint64_t>(static_cast<uint64_t>(plan.pages), kind.page_bytes);
    const auto bytes = one_layer ? checked_mul<uint64_t>(*one_layer, kind.layers) : std::nullopt;
    if (!bytes) return error(Code::kNoResources, "the KV memory asked for exceeds 64 bits");
    YQ_TRY(Buffer buffer, device.allocate(*bytes));
    buffers.push_back(std::move(buffer));
  }
  std::vector<KvLayer> kv;
  std::vector<uint64_t> used(plan.kinds.size(), 0);  // layers of a kind placed so far
  for (const size_t k : plan.kind_of_layer) {
    const LayerKind& kind = plan.kinds[k];
    const uint64_t offset = used[k]++ * static_cast<uint64_t>(plan.pages) * kind.page_bytes;
    kv.push_back({buffers[k].data() + offset, kind.page_bytes, kind.layout});
  }
  ExecutorLimits limits;
  limits.max_rows = static_cast<int32_t>(std::min<int64_t>(options.load.max_rows, 1 << 20));
  limits.max_logit_rows = std::min(options.max_logit_rows, limits.max_rows);
  limits.vocab = info.vocab_rows;
  limits.max_context = plan.max_context;
  limits.pages = plan.pages;
  limits.page_tokens = options.page_tokens;
  YQ_TRY(Buffer logits, device.allocate(static_cast<size_t>(limits.max_logit_rows) *
                                        static_cast<size_t>(limits.vocab) * sizeof(float)));
  YQ_TRY(std::unique_ptr<Ops> ops,
         device.make_ops(ops_limits(*model, options.load), options.load.numerics));
  return std::unique_ptr<Executor>(
      std::make_unique<ModelExecutor>(std::move(model), std::move(ops), std::move(buffers),
                                      std::move(kv), std::move(logits), limits));
}

}  // namespace yunqi
