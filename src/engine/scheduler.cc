// The steps of scheduler.h: who gets which rows. Integer logic only: no threads, no clock, no
// device.
#include "engine/scheduler.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace yunqi {

Scheduler::Scheduler(const ExecutorLimits& limits, const SchedulerOptions& options)
    : limits_(limits),
      options_(options),
      pool_(limits.pages),
      cache_(pool_, limits.page_tokens, options.prefix_cache),
      states_(limits.state_slots, limits.pages) {
  YQ_CHECK(limits.max_rows > 0 && limits.max_logit_rows > 0 && limits.page_tokens > 0,
           "an executor's limits must be positive");
  YQ_CHECK(static_cast<int64_t>(limits.pages) * limits.page_tokens >= limits.max_context,
           "{} pages of {} tokens do not hold one context of {}", limits.pages, limits.page_tokens,
           limits.max_context);
  // So that every running sequence can have a row with logits, and a state, in every step.
  options_.max_sequences =
      std::max(1, std::min({options.max_sequences, limits.max_rows, limits.max_logit_rows}));
  if (states_.enabled()) {
    options_.max_sequences = std::min(options_.max_sequences, limits.state_slots);
    cache_.set_listener(&states_);
  }
  options_.prefill_chunk = std::max(1, options.prefill_chunk);
  const int32_t pages = pages_for(std::max(options.checkpoint_tokens, 1));
  options_.checkpoint_tokens = pages * limits.page_tokens;
  const auto sequences = static_cast<size_t>(options_.max_sequences);
  for (auto* list : {&planned_, &running_, &order_, &victims_}) list->reserve(sequences);
  commits_.reserve(sequences);
  copies_.reserve(2 * sequences);
  hits_.reserve(static_cast<size_t>(limits.pages));
  fresh_.reserve(static_cast<size_t>(limits.pages));
  in_progress_.reserve(sequences + static_cast<size_t>(limits.max_rows / limits.page_tokens) * 2 +
                       2);
}

int32_t Scheduler::pages_for(int32_t tokens) const {
  return (tokens + limits_.page_tokens - 1) / limits_.page_tokens;
}

std::span<const int32_t> Scheduler::page_tokens(const Sequence& sequence, int32_t page) const {
  const auto width = static_cast<size_t>(limits_.page_tokens);
  return std::span(sequence.tokens).subspan(static_cast<size_t>(page) * width, width);
}

const PrefixKey& Scheduler::key_of(Sequence& sequence, int32_t page) {
  auto& keys = sequence.keys;
  while (static_cast<int32_t>(keys.size()) <= page) {
    const PrefixKey& parent = keys.empty() ? sequence.root : keys.back();
    keys.push_back(child_key(parent, page_tokens(sequence, static_cast<int32_t>(keys.size()))));
  }
  return keys[static_cast<size_t>(page)];
}

bool Scheduler::prefilling() const {
  return std::ranges::any_of(running_,
                             [](const Sequence* s) { return !s->paused() && !s->decodes(); });
}

// ---- rows --------------------------------------------------------------------------------------

// Drafts that the sequence's next run may try: they never take what another one needs.
int32_t Scheduler::draft_rows(const StepPlan& plan, Sequence& sequence) {
  const auto running = static_cast<int32_t>(running_.size());
  const auto unplanned = static_cast<int32_t>(running_.size() - planned_.size());
  const auto logit_rows = static_cast<int32_t>(plan.logit_rows.size());
  const auto context_left = static_cast<int32_t>(limits_.max_context) - sequence.size() - 1;
  int32_t drafts = std::min({static_cast<int32_t>(sequence.draft.size()), sequence.event_room - 1,
                             context_left, limits_.max_rows - plan.rows() - unplanned,
                             limits_.max_logit_rows - logit_rows - unplanned,
                             next_checkpoint(sequence) - sequence.size()});
  if (drafts <= 0) return 0;
  while (static_cast<int32_t>(sequence.pages.size()) < pages_for(sequence.size() + drafts) &&
         cache_.available() > running) {
    sequence.pages.push_back(cache_.allocate());
  }
  const auto room = static_cast<int32_t>(sequence.pages.size()) * limits_.page_tokens;
  return std::min(drafts, room - sequence.size());
}

// Where a run of the sequence must end so that its recurrent state can be kept.
int32_t Scheduler::next_checkpoint(const Sequence& sequence) const {
  if (!states_.enabled()) return std::numeric_limits<int32_t>::max();
  const int32_t every = options_.checkpoint_tokens;
  int32_t next = (sequence.computed / every + 1) * every;
  for (const int32_t position : sequence.checkpoints) {
    const int32_t aligned = position / limits_.page_tokens * limits_.page_tokens;
    if (aligned > sequence.computed) next = std::min(next, aligned);
  }
  return next;
}

// Rows that a prefilling sequence gets in this step, up to `most`; 0 when nothing is left for it.
int32_t Scheduler::prefill_rows(const StepPlan& plan, const Sequence& sequence,
                                int32_t most) const {
  const int32_t remaining = sequence.size() - sequence.computed;
  int32_t rows = std::min({remaining, options_.prefill_chunk, most, limits_.max_rows - plan.rows(),
                           next_checkpoint(sequence) - sequence.computed});
  if (rows < remaining) {  // whole pages, where that is some
    const int32_t end = sequence.computed + rows;
    const int32_t aligned = end / limits_.page_tokens * limits_.page_tokens;
    if (aligned > sequence.computed) rows = aligned - sequence.computed;
  }
  const int32_t logits_left = limits_.max_logit_rows - static_cast<int32_t>(plan.logit_rows.size());
  if (!sequence.scoring()) {
    if (rows == remaining && logits_left == 0) --rows;
  } else if (sequence.computed < sequence.scored) {
    rows = std::min(rows, sequence.scored - sequence.computed);  // recomputed; delivered before
  } else {
    // Every row gives an event, and the last a token as well.
    rows = std::min({rows, logits_left, sequence.event_room});
  }
  return rows;
}

// The sequence stands before a full page that this step makes for another one.
bool Scheduler::computed_by_other(Sequence& sequence) {
  const int32_t page = sequence.computed / limits_.page_tokens;
  if (!cache_.enabled() || states_.enabled() || sequence.scoring() || sequence.shared != page ||
      sequence.computed % limits_.page_tokens != 0 ||
      page >= (sequence.size() - 1) / limits_.page_tokens) {
    return false;
  }
  return std::ranges::find(in_progress_, key_of(sequence, page)) != in_progress_.end();
}

// The state after `computed` tokens is kept before the next row changes it, if it is worth it.
void Scheduler::keep_state(StepPlan& plan, const Sequence& sequence) {
  const int32_t at = sequence.computed, width = limits_.page_tokens;
  if (at == 0 || at % width != 0 || sequence.shared * width < at) return;
  const bool due =
      at % options_.checkpoint_tokens == 0 ||
      std::ranges::any_of(sequence.checkpoints, [&](int32_t p) { return p / width * width == at; });
  const int32_t page = sequence.pages[static_cast<size_t>(at / width - 1)];
  if (!due || states_.kept(page) >= 0) return;
  if (const int32_t slot = states_.keep(page); slot >= 0) {
    plan.copies.push_back({sequence.slot, slot});
  }
}

void Scheduler::plan_rows(StepPlan& plan, Sequence& sequence, int32_t rows, int32_t drafts) {
  if (states_.enabled()) keep_state(plan, sequence);
  PlannedRun run;
  run.sequence = sequence.id;
  run.run.first_row = plan.rows();
  run.run.rows = rows;
  run.run.context = sequence.computed;
  run.run.pages = sequence.pages;
  run.slot = sequence.slot;
  run.drafts = drafts;
  const int32_t end = sequence.computed + rows;
  run.wants_all_logits = drafts > 0 || (sequence.scoring() && sequence.computed >= sequence.scored);
  run.wants_logits = run.wants_all_logits || end == sequence.size();
  for (int32_t i = sequence.computed; i < end; ++i) {
    if (run.wants_all_logits || (run.wants_logits && i + 1 == end)) {
      plan.logit_rows.push_back(plan.rows());
    }
    plan.tokens.push_back(i < sequence.size()
                              ? sequence.tokens[static_cast<size_t>(i)]
                              : sequence.draft[static_cast<size_t>(i - sequence.size())]);
    plan.positions.push_back({i, i, i});
  }
  plan.runs.push_back(run);
  planned_.push_back(&sequence);
}

void Scheduler::plan_decodes(StepPlan& plan) {
  for (Sequence* sequence : running_) {
    if (sequence->paused() || !sequence->decodes()) continue;
    const int32_t drafts = draft_rows(plan, *sequence);
    plan_rows(plan, *sequence, 1 + drafts, drafts);
  }
}

void Scheduler::plan_prefills(StepPlan& plan, int32_t budget) {
  const auto fairer = [](const Sequence* a, const Sequence* b) {
    if (a->priority != b->priority) return a->priority > b->priority;
    if (a->account != b->account && a->account->service != b->account->service) {
      return a->account->service < b->account->service;
    }
    return a->id < b->id;
  };
  order_.clear();
  for (Sequence* s : running_) {
    if (!s->paused() && !s->decodes()) order_.push_back(s);
  }
  if (order_.empty()) return;
  Sequence* const lead = order_.front();  // of highest rank
  std::sort(order_.begin(), order_.end(), fairer);
  const auto give = [&](Sequence& sequence, int32_t most) {
    if (computed_by_other(sequence)) return;
    const int32_t begin = sequence.computed;
    const int32_t rows = prefill_rows(plan, sequence, std::min(most, budget - plan.rows()));
    if (rows <= 0) return;
    plan_rows(plan, sequence, rows, 0);
    const int32_t width = limits_.page_tokens;
    for (int32_t page = begin / width;
         page * width < begin + rows && (page + 1) * width <= sequence.size(); ++page) {
      if (sequence.shareable) in_progress_.push_back(key_of(sequence, page));
    }
  };
  const bool lead_first = lead_waits_ >= kMaxLeadWaits;
  if (lead_first) give(*lead, limits_.page_tokens);
  for (Sequence* sequence : order_) {
    if (sequence != lead || !lead_first) give(*sequence, limits_.max_rows);
  }
  const bool served = std::ranges::find(planned_, lead) != planned_.end();
  lead_waits_ = served ? 0 : lead_waits_ + 1;
}

void Scheduler::plan(StepPlan& plan, int32_t row_budget) {
  plan.clear();
  planned_.clear();
  in_progress_.clear();
  for (Sequence* sequence : running_) share_computed(*sequence);
  for (Sequence* sequence : running_) {
    if (sequence->paused() || sequence->decodes()) continue;
    match(*sequence);
    if (!hits_.empty()) take_hits(*sequence);
  }
  grow_running();
  admit_waiting();
  plan.commits = commits_;
  plan.copies = copies_;
  plan_decodes(plan);
  const int32_t budget =
      plan.rows() == 0 ? limits_.max_rows : std::max(row_budget, plan.rows() + kLeastPrefillRows);
  plan_prefills(plan, budget);
}

void Scheduler::advance(Sequence& sequence, int32_t computed) {
  if (computed > sequence.reached) {
    sequence.account->charge(computed - sequence.reached);
    sequence.reached = computed;
  }
  sequence.computed = computed;
}

void Scheduler::complete(const StepPlan& plan) {
  commits_.clear();
  copies_.clear();
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    Sequence* sequence = planned_[i];
    if (sequence == nullptr) continue;
    const PlannedRun& run = plan.runs[i];
    advance(*sequence, run.run.context + run.run.rows - run.drafts);
    if (run.drafts > 0) {
      if (run.slot >= 0) commits_.push_back({run.slot, sequence->computed});
    } else if (run.wants_all_logits) {
      sequence->scored = sequence->computed;
    }
  }
}

void Scheduler::accept_drafts(Sequence& sequence, int32_t drafts) {
  advance(sequence, sequence.computed + drafts);
  for (StateCommit& commit : commits_) {
    if (commit.slot == sequence.slot) commit.context = sequence.computed;
  }
}

}  // namespace yunqi
