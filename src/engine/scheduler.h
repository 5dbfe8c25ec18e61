// Who runs next: pure integer logic over sequences, pages and row budgets; no threads, no clock, no
// text. The engine owns sequences; the scheduler borrows them and owns the page pool.
// Used from the engine thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/page_pool.h"
#include "engine/step_plan.h"

namespace yunqi {

// What the scheduler knows of a request.
struct Sequence {
  enum class State { kIdle, kWaiting, kRunning };

  uint64_t id = 0;
  int32_t priority = 0;         // higher first, then the lower id (the earlier arrival)
  std::vector<int32_t> tokens;  // prompt and output so far
  int32_t prompt_tokens = 0;
  bool score_prompt = false;  // logits of every prompt row are wanted
  // Events that its reader has room for; 0 pauses it. Set before each plan.
  int32_t event_room = 1;

  // The scheduler's own from here on; others only read.
  State state = State::kIdle;
  int32_t computed = 0;        // tokens whose state is stored in `pages`
  int32_t scored = 0;          // prompt rows whose logits were delivered
  std::vector<int32_t> pages;  // page of token index / page_tokens
  uint32_t preemptions = 0;

  int32_t size() const { return static_cast<int32_t>(tokens.size()); }
  bool paused() const { return event_room <= 0; }
};

struct SchedulerOptions {
  int32_t max_sequences = 64;
  int32_t prefill_chunk = 256;
};

// A step goes in three passes over sequences in order of rank (priority, then arrival):
//   1. running ones get the pages their known tokens need; when none is free, paused sequences and
//      then those of lowest rank are preempted: they lose their pages and will be recomputed
//   2. waiting ones are admitted strictly in order while pages for all their tokens and one more
//      are free, and one more for each running sequence; paused ones step aside for them
//   3. rows: one for each decoding sequence, then prefill chunks in order within the row budget.
// The running sequence of highest rank that is not paused gets rows in every step, and nothing is
// admitted before a waiting one of higher rank, so every request makes progress.
class Scheduler {
 public:
  // `limits.pages` pages must hold max_context tokens.
  Scheduler(const ExecutorLimits& limits, const SchedulerOptions& options);

  // Makes a sequence wait. Its tokens and one more must fit max_context.
  void add(Sequence* sequence);
  // Forgets it wherever it is and frees its pages.
  void remove(Sequence* sequence);

  // Fills `plan`, whose page lists borrow from the sequences until the next call of any kind.
  void plan(StepPlan& plan);
  // The sequences of the last plan's runs, in order; null where one was removed since.
  std::span<Sequence* const> planned() const { return planned_; }
  // The last plan ran: its rows are computed.
  void complete(const StepPlan& plan);

  std::span<Sequence* const> waiting() const { return waiting_; }
  std::span<Sequence* const> running() const { return running_; }
  const PagePool& pages() const { return pool_; }
  const ExecutorLimits& limits() const { return limits_; }
  int32_t max_sequences() const { return options_.max_sequences; }
  uint64_t preemptions() const { return preemptions_; }

 private:
  int32_t pages_for(int32_t tokens) const;
  void grow_running();
  bool grow(Sequence& sequence);
  void admit_waiting();
  bool make_room(const Sequence& sequence);
  bool preempt_paused();
  void preempt(Sequence* sequence);
  void plan_rows(StepPlan& plan, Sequence& sequence, int32_t rows);
  int32_t prefill_rows(const StepPlan& plan, const Sequence& sequence) const;

  const ExecutorLimits limits_;
  SchedulerOptions options_;
  PagePool pool_;
  std::vector<Sequence*> waiting_, running_;  // by rank
  std::vector<Sequence*> planned_;
  uint64_t preemptions_ = 0;
};

}  // namespace yunqi
