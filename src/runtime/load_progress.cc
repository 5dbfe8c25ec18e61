// See load_progress.h.
#include "runtime/load_progress.h"

#include <algorithm>

#include "ops/ops.h"

namespace yunqi {
namespace {

class CountingDevice final : public Device {
 public:
  CountingDevice(Device& device, LoadProgress& progress) : device_(device), progress_(progress) {}

  std::string description() const override { return device_.description(); }
  std::string numerics_id() const override { return device_.numerics_id(); }
  Result<Buffer> allocate(size_t bytes) override { return device_.allocate(bytes); }
  Result<std::unique_ptr<Weight>> prepare(std::span<const WeightSource> parts,
                                          std::span<const float> bias,
                                          const Numerics& numerics) override {
    Result<std::unique_ptr<Weight>> weight = device_.prepare(parts, bias, numerics);
    for (const WeightSource& part : parts) progress_.add(part.bytes.size());
    return weight;
  }
  Result<std::unique_ptr<RopeTable>> prepare_rope(const RopeSpec& spec) override {
    return device_.prepare_rope(spec);
  }
  uint64_t kv_page_bytes(const KvLayout& layout) const override {
    return device_.kv_page_bytes(layout);
  }
  Result<std::unique_ptr<Ops>> make_ops(const OpsLimits& limits,
                                        const Numerics& numerics) override {
    return device_.make_ops(limits, numerics);
  }

 private:
  Device& device_;
  LoadProgress& progress_;
};

}  // namespace

double LoadProgress::share() const {
  const auto total = static_cast<double>(total_.load(std::memory_order_relaxed));
  const auto done = static_cast<double>(done_.load(std::memory_order_relaxed));
  return total > 0 ? std::min(done / total, 1.0) : 0.0;
}

std::unique_ptr<Device> count_prepared(Device& device, LoadProgress& progress) {
  return std::make_unique<CountingDevice>(device, progress);
}

}  // namespace yunqi
