// A test double of the Executor: its "state" of a token is the token, kept in pages as the plan
// maps them, and its logits hash every token of the sequence as read back through the pages. A
// wrong, shared or stale page changes the output. One thread at a time, as any executor.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "engine/step_plan.h"

namespace yunqi {

inline uint64_t fake_hash(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
  hash *= 0xFF51AFD7ED558CCDu;
  return hash ^ (hash >> 33);
}

// Logit `id` after a sequence with that hash, in [-4, 4).
inline float fake_logit(uint64_t hash, int32_t id) {
  const uint64_t bits = fake_hash(hash, static_cast<uint64_t>(id)) >> 40;
  return static_cast<float>(bits) * (8.0f / 16777216.0f) - 4.0f;
}

class FakeExecutor final : public Executor {
 public:
  explicit FakeExecutor(const ExecutorLimits& limits)
      : limits_(limits),
        state_(static_cast<size_t>(limits.pages) * static_cast<size_t>(limits.page_tokens), -1),
        logits_(static_cast<size_t>(limits.max_logit_rows) * static_cast<size_t>(limits.vocab)) {}

  const ExecutorLimits& limits() const override { return limits_; }

  // Called at the start of each step with its plan; an error becomes the step's.
  void set_hook(std::function<Status(const StepPlan&)> hook) { hook_ = std::move(hook); }

  Result<Matrix<float>> execute(const StepPlan& plan) override {
    if (hook_) YQ_RETURN_IF_ERROR(hook_(plan));
    size_t logit_row = 0;
    for (const PlannedRun& planned : plan.runs) {
      const SequenceRun& run = planned.run;
      for (int32_t i = 0; i < run.rows; ++i) {
        slot(run, run.context + i) = plan.tokens[static_cast<size_t>(run.first_row + i)];
      }
      while (logit_row < plan.logit_rows.size() &&
             plan.logit_rows[logit_row] < run.first_row + run.rows) {
        const int32_t last = run.context + plan.logit_rows[logit_row] - run.first_row;
        uint64_t hash = 0;
        for (int32_t i = 0; i <= last; ++i) {
          hash = fake_hash(hash, static_cast<uint64_t>(slot(run, i)));
        }
        for (int32_t id = 0; id < limits_.vocab; ++id) {
          logits_[logit_row * static_cast<size_t>(limits_.vocab) + static_cast<size_t>(id)] =
              fake_logit(hash, id);
        }
        ++logit_row;
      }
    }
    return Matrix<float>(logits_.data(), static_cast<int64_t>(logit_row), limits_.vocab);
  }

 private:
  int32_t& slot(const SequenceRun& run, int32_t index) {
    const int32_t page = run.pages[static_cast<size_t>(index / limits_.page_tokens)];
    return state_[static_cast<size_t>(page) * static_cast<size_t>(limits_.page_tokens) +
                  static_cast<size_t>(index % limits_.page_tokens)];
  }

  const ExecutorLimits limits_;
  std::vector<int32_t> state_;  // [pages][page_tokens] tokens
  std::vector<float> logits_;
  std::function<Status(const StepPlan&)> hook_;
};

}  // namespace yunqi
