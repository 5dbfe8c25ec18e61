// See cpu_device.h. Thread-safe: the pool is shared under a lock, everything else is immutable.
#include "ops/cpu/cpu_device.h"

#include <utility>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/cpu_state.h"
#include "ops/cpu/dispatch.h"
#include "ops/cpu/kv_page.h"
#include "ops/cpu/memory.h"
#include "ops/cpu/packing.h"
#include "ops/cpu/rope_table.h"

namespace yunqi {
namespace {

// Raised when a kernel's bits change: part of every fingerprint.
constexpr int kNumericsVersion = 3;
constexpr int kMaxThreads = 1024;

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(std::shared_ptr<CpuState> state) : state_(std::move(state)) {}

  std::string description() const override {
    return fmt::format("cpu ({}, {} thread{})", state_->kernels.name, state_->threads(),
                       state_->threads() == 1 ? "" : "s");
  }
  std::string numerics_id() const override {
    return fmt::format("cpu-{}-{}", state_->kernels.name, kNumericsVersion);
  }
  Result<Buffer> allocate(size_t bytes) override { return allocate_host(bytes); }

  Result<std::unique_ptr<Weight>> prepare(std::span<const WeightSource> parts,
                                          std::span<const float> bias,
                                          const Numerics& numerics) override {
    auto packed = state_->with_pool(
        [&](ThreadPool& pool) { return PackedWeight::pack(parts, bias, numerics, pool); });
    if (!packed.is_ok()) return packed.status();
    return std::unique_ptr<Weight>(std::move(packed).value());
  }

  Result<std::unique_ptr<RopeTable>> prepare_rope(const RopeSpec& spec) override {
    auto table =
        state_->with_pool([&](ThreadPool& pool) { return CpuRopeTable::make(spec, pool); });
    if (!table.is_ok()) return table.status();
    return std::unique_ptr<RopeTable>(std::move(table).value());
  }

  uint64_t kv_page_bytes(const KvLayout& layout) const override {
    YQ_CHECK(layout.kv_heads > 0 && layout.head_dim > 0 && layout.page_tokens > 0 &&
                 layout.page_tokens % kKvGroup == 0,
             "{} heads of {}, pages of {} tokens", layout.kv_heads, layout.head_dim,
             layout.page_tokens);
    return KvPage(layout).page_bytes();
  }

  Result<std::unique_ptr<Ops>> make_ops(const OpsLimits& limits, const Numerics&) override {
    return make_cpu_ops(state_, limits);
  }

 private:
  std::shared_ptr<CpuState> state_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cpu_device(const CpuOptions& options) {
  YQ_TRY(const Kernels* kernels, select_kernels(options.isa));
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return error(Code::kInvalidArgument, "threads: want 0 (all cores) to {}, found {}", kMaxThreads,
                 options.threads);
  }
  return std::unique_ptr<Device>(
      std::make_unique<CpuDevice>(std::make_shared<CpuState>(*kernels, options.threads)));
}

}  // namespace yunqi
