// Who runs next: pure integer logic over sequences, pages and row budgets; no threads, no clock, no
// text. The engine owns sequences; the scheduler borrows them and owns the page pool and what hangs
// on it. scheduler.cc makes steps, admission.cc decides who runs. Engine thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/flow_table.h"
#include "engine/page_pool.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/state_slots.h"
#include "engine/step_plan.h"

namespace yunqi {

struct SchedulerOptions {
  int32_t max_sequences = 64;
  int32_t prefill_chunk = 256;
  bool prefix_cache = true;
  int32_t checkpoint_tokens = 512;  // recurrent state is kept every so many tokens of a prompt
};

// A waiting sequence is overtaken by at most so many later ones of its priority.
inline constexpr int32_t kMaxOvertaken = 256;
// Prompt rows of a step that has decode rows, however tight its budget, so that prefill goes on.
inline constexpr int32_t kLeastPrefillRows = 16;
// Steps that the prefilling sequence of highest rank goes without rows, at most, while fairer ones
// have them all.
inline constexpr int32_t kMaxLeadWaits = 8;

// A step goes in passes over the sequences in order of rank (priority, then arrival):
//   1. full pages that were computed become findable; prefilling sequences take what others found
//   2. running ones get the pages their known tokens need; when none is left, paused sequences and
//      then those of lowest rank are preempted: they lose their pages and will be recomputed, or
//      found again in the prefix cache
//   3. waiting ones are admitted while pages for all their tokens and one more are there, and one
//      more for each running sequence: by priority, then the flow that had least, then arrival.
//      Paused sequences step aside for them, and so do those of a flow that has more than its share
//   4. rows: one for each decoding sequence (and its drafts), then prompt chunks within the budget,
//      least served flow first. A sequence whose next page another one computes in this step waits
//      for it.
// The sequence of highest rank is never preempted unless paused and gets on in one of a few steps,
// and nobody is overtaken for ever, so every request ends.
class Scheduler {
 public:
  // `limits.pages` pages must hold max_context tokens.
  Scheduler(const ExecutorLimits& limits, const SchedulerOptions& options);

  // Makes a sequence wait. Its tokens and one more must fit max_context.
  void add(Sequence* sequence);
  // Forgets it wherever it is and frees its pages.
  void remove(Sequence* sequence);

  // Fills `plan`, whose page lists borrow from the sequences until the next call of any kind.
  // A step with decode rows has at most `row_budget` rows, but kLeastPrefillRows of prompts.
  void plan(StepPlan& plan, int32_t row_budget);
  void plan(StepPlan& plan) { this->plan(plan, limits_.max_rows); }
  // The sequences of the last plan's runs, in order; null where one was removed since.
  std::span<Sequence* const> planned() const { return planned_; }
  // The last plan ran: its rows are computed, but for the drafts.
  void complete(const StepPlan& plan);
  // So many drafts of the sequence's last run came true.
  void accept_drafts(Sequence& sequence, int32_t drafts);

  // ---- pages that come from elsewhere, or go there ----
  // Leading pages of a waiting sequence that may come from the cache, and those that are in it.
  int32_t cacheable_pages(const Sequence& sequence) const;
  int32_t found_pages(Sequence& sequence);
  // Of one of the sequence's full pages.
  const PrefixKey& key_of(Sequence& sequence, int32_t page);
  std::span<const int32_t> page_tokens(const Sequence& sequence, int32_t page) const;
  // Puts a page into the cache, if its key is that of the first page of the waiting sequence that
  // is not found there, and memory is left. `fill` writes the page's bytes, or says it could not.
  bool adopt(Sequence& sequence, const PrefixKey& key, const std::function<bool(int32_t)>& fill);
  // Pages that joined the cache since forget_fresh(); some may have left it again.
  struct FreshPage {
    int32_t page = 0;
    PrefixKey key;
  };
  std::span<const FreshPage> fresh() const { return fresh_; }
  void forget_fresh() { fresh_.clear(); }

  std::span<Sequence* const> waiting() const { return waiting_; }
  std::span<Sequence* const> running() const { return running_; }
  const PagePool& pages() const { return pool_; }
  const PrefixCache& cache() const { return cache_; }
  const StateSlots& states() const { return states_; }
  const ExecutorLimits& limits() const { return limits_; }
  int32_t max_sequences() const { return options_.max_sequences; }
  uint64_t preemptions() const { return preemptions_; }
  // Whether a running sequence that is not paused has prompt rows to compute.
  bool prefilling() const;

 private:
  int32_t pages_for(int32_t tokens) const;

  // admission.cc
  void share_computed(Sequence& sequence);
  void match(Sequence& sequence);
  void take_hits(Sequence& sequence);
  void grow_running();
  bool grow(Sequence& sequence);
  Sequence* victim_for(const Sequence& sequence) const;
  void admit_waiting();
  void claim_shares();
  Sequence* next_to_admit() const;
  bool make_room(Sequence& sequence);
  bool fits(const Sequence& sequence, int32_t freed_pages, int32_t freed_seats) const;
  bool gives_way(const Sequence& victim, const Sequence& sequence) const;
  int32_t sole_pages(const Sequence& sequence) const;
  void admit(Sequence& sequence);
  void free_state(Sequence& sequence);
  void preempt(Sequence* sequence);

  // scheduler.cc
  void plan_decodes(StepPlan& plan);
  void plan_prefills(StepPlan& plan, int32_t budget);
  int32_t draft_rows(const StepPlan& plan, Sequence& sequence);
  int32_t prefill_rows(const StepPlan& plan, const Sequence& sequence, int32_t most) const;
  int32_t next_checkpoint(const Sequence& sequence) const;
  bool computed_by_other(Sequence& sequence);
  void plan_rows(StepPlan& plan, Sequence& sequence, int32_t rows, int32_t drafts);
  void keep_state(StepPlan& plan, const Sequence& sequence);
  void advance(Sequence& sequence, int32_t computed);

  const ExecutorLimits limits_;
  SchedulerOptions options_;
  PagePool pool_;
  PrefixCache cache_;
  StateSlots states_;
  FlowTable flows_;
  std::vector<Sequence*> waiting_, running_;  // by rank
  std::vector<Sequence*> planned_;
  std::vector<StateCommit> commits_;  // for the next plan that runs
  std::vector<StateCopy> copies_;     // likewise
  std::vector<FreshPage> fresh_;      // at most as many as there are pages
  uint64_t preemptions_ = 0;
  int32_t lead_waits_ = 0;

  // Scratch, kept so that a step allocates nothing.
  std::vector<int32_t> hits_;           // pages that match() found
  std::vector<PrefixKey> in_progress_;  // pages that this step's prompt rows go to
  std::vector<Sequence*> order_, victims_;
};

}  // namespace yunqi
