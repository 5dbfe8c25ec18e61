// See bench_profile.h.
#include "app/bench_profile.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace yunqi {
namespace {

struct Line {
  const char* name;
  double ms, share, gb_per_s, tops_per_core;
};

std::vector<Line> lines_of(const StepProfile& profile, int threads) {
  const double steps = static_cast<double>(std::max<int64_t>(1, profile.steps));
  const double total =
      static_cast<double>(std::max<int64_t>(1, profile.execute_ns + profile.between_ns));
  std::vector<Line> lines;
  int64_t known = 0;
  const auto add = [&](const char* name, const OpCounter& counter) {
    const double ns = static_cast<double>(std::max<int64_t>(1, counter.ns));
    lines.push_back({name, static_cast<double>(counter.ns) / steps / 1e6,
                     static_cast<double>(counter.ns) / total, counter.bytes / ns,
                     counter.operations / ns / 1e3 / threads});
  };
  for (size_t i = 0; i < kOpKinds; ++i) {
    const auto kind = static_cast<OpKind>(i);
    if (kind == OpKind::kOther) continue;
    known += profile.ops[kind].ns;
    add(op_kind_name(kind), profile.ops[kind]);
  }
  OpCounter sampling, other;
  sampling.ns = profile.between_ns;
  other.ns = profile.execute_ns - known;
  add("sampling", sampling);
  add("other", other);
  return lines;
}

}  // namespace

Json StepProfile::to_json(double read_rate, int threads) const {
  Json ops_json = Json::object();
  for (const Line& line : lines_of(*this, threads)) {
    Json one = Json::object({{"ms_per_step", line.ms}, {"share", line.share}});
    if (line.gb_per_s > 0) {
      one.set("gb_per_s", line.gb_per_s);
      one.set("read_share", line.gb_per_s / read_rate);
    }
    if (line.tops_per_core > 0) one.set("tops_per_core", line.tops_per_core);
    ops_json.set(line.name, std::move(one));
  }
  return Json::object({{"steps", steps}, {"rows", rows}, {"ops", std::move(ops_json)}});
}

void StepProfile::print(const char* title, double read_rate, int threads) const {
  if (steps == 0) return;
  std::printf("  %s: %lld steps of %.1f rows\n", title, static_cast<long long>(steps),
              static_cast<double>(rows) / static_cast<double>(steps));
  for (const Line& line : lines_of(*this, threads)) {
    std::printf("    %-10s %9.3f ms %5.1f%%", line.name, line.ms, 100 * line.share);
    if (line.gb_per_s > 0) {
      std::printf("  %5.1f GB/s %3.0f%%", line.gb_per_s, 100 * line.gb_per_s / read_rate);
    }
    if (line.tops_per_core > 0) std::printf("  %6.3f TOPS/core", line.tops_per_core);
    std::printf("\n");
  }
}

class BenchProfile::ProfiledExecutor final : public Executor {
 public:
  ProfiledExecutor(std::unique_ptr<Executor> inner, BenchProfile& profile)
      : inner_(std::move(inner)), profile_(profile) {}

  const ExecutorLimits& limits() const override { return inner_->limits(); }

  Result<Matrix<float>> execute(const StepPlan& plan) override {
    const bool decodes =
        std::all_of(plan.runs.begin(), plan.runs.end(),
                    [](const PlannedRun& planned) { return planned.run.rows == 1; });
    StepProfile& counts = decodes ? profile_.decode_ : profile_.prefill_;
    const int64_t begin = system_clock().now_ns();
    if (profile_.last_ != nullptr) profile_.last_->between_ns += begin - profile_.last_end_ns_;
    profile_.target_.profile = &counts.ops;
    Result<Matrix<float>> logits = inner_->execute(plan);
    profile_.last_ = &counts;
    profile_.last_end_ns_ = system_clock().now_ns();
    counts.execute_ns += profile_.last_end_ns_ - begin;
    counts.rows += plan.rows();
    ++counts.steps;
    return logits;
  }

 private:
  std::unique_ptr<Executor> inner_;
  BenchProfile& profile_;
};

std::unique_ptr<Executor> BenchProfile::wrap(std::unique_ptr<Executor> inner) {
  return std::make_unique<ProfiledExecutor>(std::move(inner), *this);
}

void BenchProfile::reset() {
  prefill_ = {};
  decode_ = {};
  last_ = nullptr;
}

}  // namespace yunqi
