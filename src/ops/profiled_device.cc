// See profiled_device.h. Remembers the last operation, to know what the next one is for.
#include "ops/profiled_device.h"

#include <utility>

#include "base/clock.h"

namespace yunqi {
namespace {

double product_operations(int64_t rows, const Weight& w) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(w.rows()) *
         static_cast<double>(w.columns());
}

class ProfiledOps final : public Ops {
 public:
  ProfiledOps(std::unique_ptr<Ops> inner, const Device& device, const ProfileTarget& target)
      : inner_(std::move(inner)), device_(device), target_(target) {}

  void embed(const Weight& table, std::span<const int32_t> tokens, Matrix<float> x) override {
    timed(OpKind::kEmbed, 0, 0, [&] { inner_->embed(table, tokens, x); });
  }
  void norm_linear(Matrix<const float> x, const Norm& norm, const Weight& w,
                   Matrix<float> y) override {
    // Its kind shows with what comes next.
    charge_pending(OpKind::kHead);
    if (target_.profile == nullptr) return inner_->norm_linear(x, norm, w, y);
    pending_profile_ = target_.profile;
    pending_ = time(product_operations(x.rows, w), static_cast<double>(w.bytes()),
                    [&] { inner_->norm_linear(x, norm, w, y); });
  }
  void norm_gated_linear(Matrix<const float> x, const Norm& norm, const Weight& gate_up,
                         Matrix<float> y) override {
    after_attention_ = false;
    timed(OpKind::kGateUp, product_operations(x.rows, gate_up),
          static_cast<double>(gate_up.bytes()),
          [&] { inner_->norm_gated_linear(x, norm, gate_up, y); });
  }
  void linear_add(Matrix<const float> x, const Weight& w, Matrix<float> y) override {
    timed(after_attention_ ? OpKind::kAttentionOut : OpKind::kDown, product_operations(x.rows, w),
          static_cast<double>(w.bytes()), [&] { inner_->linear_add(x, w, y); });
  }
  void attention(Matrix<float> qkv, const AttentionArgs& args, Matrix<float> out) override {
    const KvLayout& layout = args.kv.layout;
    const double token_bytes = static_cast<double>(device_.kv_page_bytes(layout)) /
                               static_cast<double>(layout.page_tokens);
    double seen = 0, bytes = 0;
    for (const SequenceRun& run : args.runs) {
      const double rows = run.rows;
      seen += rows * run.context + rows * (rows + 1) / 2;
      bytes += (rows + run.context) * token_bytes;
    }
    after_attention_ = true;
    charge_pending(OpKind::kQkv);
    timed(OpKind::kAttention, 4.0 * args.query_heads * layout.head_dim * seen, bytes,
          [&] { inner_->attention(qkv, args, out); });
  }
  void gather_rows(Matrix<const float> from, std::span<const int32_t> rows,
                   Matrix<float> to) override {
    timed(OpKind::kOther, 0, 0, [&] { inner_->gather_rows(from, rows, to); });
  }
  void copy_page(const KvLayer& kv, int32_t from_page, int32_t to_page) override {
    timed(OpKind::kOther, 0, 0, [&] { inner_->copy_page(kv, from_page, to_page); });
  }
  void all_reduce(Matrix<float> x) override {
    timed(OpKind::kOther, 0, 0, [&] { inner_->all_reduce(x); });
  }
  Status sync() override {
    charge_pending(OpKind::kHead);
    return inner_->sync();
  }

 private:
  template <typename Call>
  static OpCounter time(double operations, double bytes, Call&& call) {
    const int64_t begin = system_clock().now_ns();
    call();
    return {1, system_clock().now_ns() - begin, operations, bytes};
  }
  static void add(OpCounter& counter, const OpCounter& one) {
    counter.calls += one.calls;
    counter.ns += one.ns;
    counter.operations += one.operations;
    counter.bytes += one.bytes;
  }
  void charge_pending(OpKind kind) {
    if (pending_profile_ != nullptr) add((*pending_profile_)[kind], pending_);
    pending_profile_ = nullptr;
  }
  template <typename Call>
  void timed(OpKind kind, double operations, double bytes, Call&& call) {
    charge_pending(OpKind::kHead);
    if (target_.profile == nullptr) return call();
    add((*target_.profile)[kind], time(operations, bytes, call));
  }

  std::unique_ptr<Ops> inner_;
  const Device& device_;
  const ProfileTarget& target_;
  bool after_attention_ = false;
  OpCounter pending_;  // the last norm_linear, while its profile is set
  OpProfile* pending_profile_ = nullptr;
};

class ProfiledDevice final : public Device {
 public:
  ProfiledDevice(Device& inner, const ProfileTarget& target) : inner_(inner), target_(target) {}

  std::string description() const override { return inner_.description(); }
  std::string numerics_id() const override { return inner_.numerics_id(); }
  Result<Buffer> allocate(size_t bytes) override { return inner_.allocate(bytes); }
  Result<std::unique_ptr<Weight>> prepare(std::span<const WeightSource> parts,
                                          std::span<const float> bias,
                                          const Numerics& numerics) override {
    return inner_.prepare(parts, bias, numerics);
  }
  Result<std::unique_ptr<RopeTable>> prepare_rope(const RopeSpec& spec) override {
    return inner_.prepare_rope(spec);
  }
  uint64_t kv_page_bytes(const KvLayout& layout) const override {
    return inner_.kv_page_bytes(layout);
  }
  Result<std::unique_ptr<Ops>> make_ops(const OpsLimits& limits,
                                        const Numerics& numerics) override {
    YQ_TRY(auto ops, inner_.make_ops(limits, numerics));
    return std::unique_ptr<Ops>(std::make_unique<ProfiledOps>(std::move(ops), inner_, target_));
  }

 private:
  Device& inner_;
  const ProfileTarget& target_;
};

}  // namespace

const char* op_kind_name(OpKind kind) {
  switch (kind) {
    case OpKind::kEmbed:
      return "embed";
    case OpKind::kQkv:
      return "qkv";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kAttentionOut:
      return "o_proj";
    case OpKind::kGateUp:
      return "gate_up";
    case OpKind::kDown:
      return "down";
    case OpKind::kHead:
      return "lm_head";
    case OpKind::kOther:
      return "other";
  }
  return "other";
}

std::unique_ptr<Device> make_profiled_device(Device& inner, const ProfileTarget& target) {
  return std::make_unique<ProfiledDevice>(inner, target);
}

}  // namespace yunqi
