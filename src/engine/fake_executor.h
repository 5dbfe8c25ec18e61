// A test double of the Executor: its "state" of a token is the token, kept in pages as the plan
// maps them, and its logits hash every token of the sequence as read back through the pages. A
// wrong, shared or stale page changes the output. With state slots it is a hybrid model: the logits
// then also hash what the slot holds, and a slot that does not stand where its run begins is an
// error. One thread at a time, as any executor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
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
        logits_(static_cast<size_t>(limits.max_logit_rows) * static_cast<size_t>(limits.vocab)),
        slots_(static_cast<size_t>(limits.state_slots)) {}

  const ExecutorLimits& limits() const override { return limits_; }

  // Called at the start of each step with its plan; an error becomes the step's.
  void set_hook(std::function<Status(const StepPlan&)> hook) { hook_ = std::move(hook); }
  // Logits follow the last so many tokens above all, so that sequences repeat themselves; 0: not.
  void set_window(int32_t tokens) { window_ = tokens; }

  Result<Matrix<float>> execute(const StepPlan& plan) override {
    if (hook_) YQ_RETURN_IF_ERROR(hook_(plan));
    for (const StateCommit& commit : plan.commits) {
      YQ_RETURN_IF_ERROR(slot(commit.slot).commit(commit.context));
    }
    for (const StateCopy& copy : plan.copies) slot(copy.to) = slot(copy.from);
    size_t logit_row = 0;
    for (const PlannedRun& planned : plan.runs) {
      const SequenceRun& run = planned.run;
      if (planned.slot >= 0) YQ_RETURN_IF_ERROR(slot(planned.slot).run(planned, plan));
      for (int32_t i = 0; i < run.rows; ++i) {
        token_at(run, run.context + i) = plan.tokens[static_cast<size_t>(run.first_row + i)];
      }
      while (logit_row < plan.logit_rows.size() &&
             plan.logit_rows[logit_row] < run.first_row + run.rows) {
        const int32_t last = run.context + plan.logit_rows[logit_row] - run.first_row;
        make_logits(planned, last, logit_row++);
      }
    }
    return Matrix<float>(logits_.data(), static_cast<int64_t>(logit_row), limits_.vocab);
  }

  uint64_t page_bytes() const override {
    return static_cast<uint64_t>(limits_.page_tokens) * sizeof(int32_t);
  }
  Status read_page(int32_t page, std::span<std::byte> bytes) override {
    std::memcpy(bytes.data(), page_data(page), bytes.size());
    return Status::ok();
  }
  Status write_page(int32_t page, std::span<const std::byte> bytes) override {
    std::memcpy(page_data(page), bytes.data(), bytes.size());
    return Status::ok();
  }

 private:
  // A recurrent state: a hash of all tokens up to `context`, and those after each row of the last
  // run, so that it can go back.
  struct Slot {
    int32_t context = 0;
    uint64_t hash = 0;
    std::vector<uint64_t> rows;
    bool uncommitted = false;

    Status commit(int32_t to) {
      const int32_t back = context - to;
      if (!uncommitted || back < 0 || static_cast<size_t>(back) >= rows.size()) {
        return error(Code::kInternal, "a state at {} cannot become the one at {}", context, to);
      }
      hash = rows[rows.size() - 1 - static_cast<size_t>(back)];
      context = to;
      uncommitted = false;
      return Status::ok();
    }

    Status run(const PlannedRun& planned, const StepPlan& plan) {
      const SequenceRun& r = planned.run;
      if (r.context == 0) *this = {};
      if (context != r.context || uncommitted) {
        return error(Code::kInternal, "{}: its state is at {}{}, its run begins at {}",
                     planned.sequence, context, uncommitted ? " (uncommitted)" : "", r.context);
      }
      rows.clear();
      for (int32_t i = 0; i < r.rows; ++i) {
        const int32_t token = plan.tokens[static_cast<size_t>(r.first_row + i)];
        hash = fake_hash(hash, static_cast<uint64_t>(token));
        rows.push_back(hash);
      }
      context += r.rows;
      uncommitted = planned.drafts > 0;
      return Status::ok();
    }
  };

  Slot& slot(int32_t index) { return slots_.at(static_cast<size_t>(index)); }

  // Of tokens [begin, end) as read through the pages.
  uint64_t hash_of(const SequenceRun& run, int32_t begin, int32_t end) {
    uint64_t hash = 0;
    for (int32_t i = begin; i < end; ++i) {
      hash = fake_hash(hash, static_cast<uint64_t>(token_at(run, i)));
    }
    return hash;
  }

  // The logits after token `last` of the run's sequence.
  void make_logits(const PlannedRun& planned, int32_t last, size_t row) {
    const SequenceRun& run = planned.run;
    uint64_t all = hash_of(run, 0, last + 1);
    if (planned.slot >= 0) {
      all = fake_hash(all, slot(planned.slot).rows.at(static_cast<size_t>(last - run.context)));
    }
    const uint64_t recent = hash_of(run, std::max(0, last + 1 - window_), last + 1);
    float* out = logits_.data() + row * static_cast<size_t>(limits_.vocab);
    for (int32_t id = 0; id < limits_.vocab; ++id) {
      out[id] =
          window_ == 0 ? fake_logit(all, id) : fake_logit(recent, id) + 0.1f * fake_logit(all, id);
    }
  }

  int32_t* page_data(int32_t page) {
    return state_.data() + static_cast<size_t>(page) * static_cast<size_t>(limits_.page_tokens);
  }
  int32_t& token_at(const SequenceRun& run, int32_t index) {
    return page_data(
        run.pages[static_cast<size_t>(index / limits_.page_tokens)])[index % limits_.page_tokens];
  }

  const ExecutorLimits limits_;
  std::vector<int32_t> state_;  // [pages][page_tokens] tokens
  std::vector<float> logits_;
  std::vector<Slot> slots_;
  int32_t window_ = 0;
  std::function<Status(const StepPlan&)> hook_;
};

}  // namespace yunqi
