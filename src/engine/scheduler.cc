// See scheduler.h. Integer logic only: no threads, no clock, no device.
#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace yunqi {
namespace {

bool ranks_before(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

void insert_by_rank(std::vector<Sequence*>& list, Sequence* sequence) {
  list.insert(std::upper_bound(list.begin(), list.end(), sequence, ranks_before), sequence);
}

}  // namespace

Scheduler::Scheduler(const ExecutorLimits& limits, const SchedulerOptions& options)
    : limits_(limits), options_(options), pool_(limits.pages) {
  YQ_CHECK(limits.max_rows > 0 && limits.max_logit_rows > 0 && limits.page_tokens > 0,
           "an executor's limits must be positive");
  YQ_CHECK(static_cast<int64_t>(limits.pages) * limits.page_tokens >= limits.max_context,
           "{} pages of {} tokens do not hold one context of {}", limits.pages, limits.page_tokens,
           limits.max_context);
  // So that every running sequence can have a row with logits in every step.
  options_.max_sequences =
      std::max(1, std::min({options.max_sequences, limits.max_rows, limits.max_logit_rows}));
  options_.prefill_chunk = std::max(1, options.prefill_chunk);
  planned_.reserve(static_cast<size_t>(options_.max_sequences));
  running_.reserve(static_cast<size_t>(options_.max_sequences));
}

int32_t Scheduler::pages_for(int32_t tokens) const {
  return (tokens + limits_.page_tokens - 1) / limits_.page_tokens;
}

void Scheduler::add(Sequence* sequence) {
  YQ_CHECK(sequence->state == Sequence::State::kIdle && sequence->pages.empty(),
           "sequence {} is scheduled already", sequence->id);
  YQ_CHECK(sequence->size() > 0 && sequence->size() < limits_.max_context, "{} tokens of {}",
           sequence->size(), limits_.max_context);
  sequence->state = Sequence::State::kWaiting;
  insert_by_rank(waiting_, sequence);
}

void Scheduler::remove(Sequence* sequence) {
  std::replace(planned_.begin(), planned_.end(), sequence, static_cast<Sequence*>(nullptr));
  if (sequence->state == Sequence::State::kWaiting) std::erase(waiting_, sequence);
  if (sequence->state == Sequence::State::kRunning) std::erase(running_, sequence);
  for (const int32_t page : sequence->pages) pool_.release(page);
  sequence->pages.clear();
  sequence->computed = 0;
  sequence->state = Sequence::State::kIdle;
}

void Scheduler::preempt(Sequence* sequence) {
  std::erase(running_, sequence);
  for (const int32_t page : sequence->pages) pool_.release(page);
  sequence->pages.clear();
  sequence->computed = 0;
  sequence->state = Sequence::State::kWaiting;
  ++sequence->preemptions;
  ++preemptions_;
  insert_by_rank(waiting_, sequence);
}

// Preempts the paused sequence of lowest rank; false when there is none.
bool Scheduler::preempt_paused() {
  const auto victim = std::find_if(running_.rbegin(), running_.rend(),
                                   [](const Sequence* s) { return s->paused(); });
  if (victim == running_.rend()) return false;
  preempt(*victim);
  return true;
}

// Gives the sequence pages for its tokens. False when it had to be preempted itself.
bool Scheduler::grow(Sequence& sequence) {
  while (static_cast<int32_t>(sequence.pages.size()) < pages_for(sequence.size())) {
    if (pool_.free() > 0) {
      sequence.pages.push_back(pool_.allocate());
    } else if (!preempt_paused()) {
      Sequence* lowest = running_.back();
      preempt(lowest);
      if (lowest == &sequence) return false;
    }
  }
  return true;
}

void Scheduler::grow_running() {
  size_t i = 0;
  while (i < running_.size()) {
    Sequence* sequence = running_[i];
    if (!sequence->paused() && !grow(*sequence)) continue;
    // Paused sequences of higher rank may have left the list.
    i = static_cast<size_t>(std::find(running_.begin(), running_.end(), sequence) -
                            running_.begin()) +
        1;
  }
}

// Whether the sequence can run now; paused ones make room when that suffices.
bool Scheduler::make_room(const Sequence& sequence) {
  int32_t unpaused = 0, reclaimable = 0;
  for (const Sequence* other : running_) {
    if (other->paused()) {
      reclaimable += static_cast<int32_t>(other->pages.size());
    } else {
      ++unpaused;
    }
  }
  const int32_t needed = pages_for(sequence.size() + 1) + unpaused;
  if (unpaused >= options_.max_sequences || needed > pool_.free() + reclaimable) return false;
  while (static_cast<int32_t>(running_.size()) >= options_.max_sequences || pool_.free() < needed) {
    YQ_CHECK(preempt_paused(), "no paused sequence, though counted");
  }
  return true;
}

void Scheduler::admit_waiting() {
  size_t i = 0;
  while (i < waiting_.size()) {
    Sequence* sequence = waiting_[i];
    if (sequence->paused()) {
      ++i;
      continue;
    }
    if (!make_room(*sequence)) return;
    std::erase(waiting_, sequence);
    sequence->state = Sequence::State::kRunning;
    insert_by_rank(running_, sequence);
    YQ_CHECK(grow(*sequence), "no pages for sequence {}, though counted", sequence->id);
    i = 0;  // preempted sequences may now wait before this one
  }
}

// Rows that a prefilling sequence gets in this step; 0 when nothing is left for it.
int32_t Scheduler::prefill_rows(const StepPlan& plan, const Sequence& sequence) const {
  const int32_t remaining = sequence.size() - sequence.computed;
  int32_t rows = std::min({remaining, options_.prefill_chunk, limits_.max_rows - plan.rows()});
  const int32_t logits_left = limits_.max_logit_rows - static_cast<int32_t>(plan.logit_rows.size());
  const bool scoring = sequence.score_prompt && sequence.scored < sequence.prompt_tokens;
  if (!scoring) {
    if (rows == remaining && logits_left == 0) --rows;
  } else if (sequence.computed < sequence.scored) {
    rows = std::min(rows, sequence.scored - sequence.computed);  // recomputed; delivered before
  } else {
    // Every row gives an event, and the last a token as well.
    rows = std::min({rows, logits_left, sequence.event_room});
  }
  return rows;
}

void Scheduler::plan_rows(StepPlan& plan, Sequence& sequence, int32_t rows) {
  PlannedRun run;
  run.sequence = sequence.id;
  run.run.first_row = plan.rows();
  run.run.rows = rows;
  run.run.context = sequence.computed;
  run.run.pages = sequence.pages;
  const int32_t end = sequence.computed + rows;
  run.wants_all_logits = sequence.score_prompt && sequence.scored < sequence.prompt_tokens &&
                         sequence.computed >= sequence.scored;
  run.wants_logits = run.wants_all_logits || end == sequence.size();
  for (int32_t i = sequence.computed; i < end; ++i) {
    if (run.wants_all_logits || (run.wants_logits && i + 1 == end)) {
      plan.logit_rows.push_back(plan.rows());
    }
    plan.tokens.push_back(sequence.tokens[static_cast<size_t>(i)]);
    plan.positions.push_back({i, i, i});
  }
  plan.runs.push_back(run);
  planned_.push_back(&sequence);
}

void Scheduler::plan(StepPlan& plan) {
  plan.clear();
  planned_.clear();
  grow_running();
  admit_waiting();
  const auto decodes = [](const Sequence* s) {
    return s->size() - s->computed == 1 && !(s->score_prompt && s->scored < s->prompt_tokens);
  };
  for (Sequence* sequence : running_) {
    if (!sequence->paused() && decodes(sequence)) plan_rows(plan, *sequence, 1);
  }
  for (Sequence* sequence : running_) {
    if (sequence->paused() || decodes(sequence)) continue;
    const int32_t rows = prefill_rows(plan, *sequence);
    if (rows > 0) plan_rows(plan, *sequence, rows);
  }
}

void Scheduler::complete(const StepPlan& plan) {
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    Sequence* sequence = planned_[i];
    if (sequence == nullptr) continue;
    const PlannedRun& run = plan.runs[i];
    sequence->computed = run.run.context + run.run.rows;
    if (run.wants_all_logits) sequence->scored = sequence->computed;
  }
}

}  // namespace yunqi
