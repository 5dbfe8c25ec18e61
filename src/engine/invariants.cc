// See invariants.h.
#include "engine/invariants.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace yunqi {
namespace {

Status check_list(std::span<Sequence* const> list, Sequence::State state, const char* name,
                  const ExecutorLimits& limits, std::set<uint64_t>& seen) {
  const Sequence* previous = nullptr;
  for (const Sequence* s : list) {
    if (s->state != state) return error(Code::kInternal, "{}: {} has another state", name, s->id);
    if (!seen.insert(s->id).second) return error(Code::kInternal, "{} is listed twice", s->id);
    if (s->size() >= limits.max_context || s->computed > s->size()) {
      return error(Code::kInternal, "{}: {} computed of {} tokens, context {}", s->id, s->computed,
                   s->size(), limits.max_context);
    }
    const auto held = static_cast<int64_t>(s->pages.size()) * limits.page_tokens;
    if (s->computed > held) {
      return error(Code::kInternal, "{}: {} tokens in pages for {}", s->id, s->computed, held);
    }
    if (previous != nullptr && (previous->priority < s->priority ||
                                (previous->priority == s->priority && previous->id > s->id))) {
      return error(Code::kInternal, "{}: {} stands before {}", name, previous->id, s->id);
    }
    previous = s;
  }
  return Status::ok();
}

// Each page is held by the running sequences that list it, and once by the cache that knows it.
Status check_pages(const Scheduler& scheduler) {
  const PagePool& pool = scheduler.pages();
  std::vector<int32_t> held(static_cast<size_t>(pool.total()), 0);
  for (const Sequence* s : scheduler.running()) {
    for (const int32_t page : s->pages) {
      if (page < 0 || page >= pool.total()) {
        return error(Code::kInternal, "{} has page {} of {}", s->id, page, pool.total());
      }
      ++held[static_cast<size_t>(page)];
    }
    for (int32_t i = 0; i < static_cast<int32_t>(s->pages.size()); ++i) {
      const int32_t page = s->pages[static_cast<size_t>(i)];
      if (scheduler.cache().contains(page) != (i < s->shared)) {
        return error(Code::kInternal, "{}: its page {} (number {}), {} shared", s->id, i, page,
                     s->shared);
      }
    }
  }
  int32_t free = 0;
  for (int32_t page = 0; page < pool.total(); ++page) {
    const int32_t holders =
        held[static_cast<size_t>(page)] + (scheduler.cache().contains(page) ? 1 : 0);
    if (holders != pool.references(page)) {
      return error(Code::kInternal, "page {}: {} holders, {} references", page, holders,
                   pool.references(page));
    }
    free += holders == 0 ? 1 : 0;
  }
  if (free != pool.free()) {
    return error(Code::kInternal, "{} pages are free, {} are listed", free, pool.free());
  }
  if (!scheduler.cache().consistent()) {
    return error(Code::kInternal, "the prefix cache's tree is broken");
  }
  return Status::ok();
}

// Each state slot is worked in by one running sequence, or keeps a state, or is free.
Status check_states(const Scheduler& scheduler) {
  const StateSlots& states = scheduler.states();
  std::set<int32_t> used;
  for (const Sequence* s : scheduler.running()) {
    if (states.enabled() != (s->slot >= 0) || (s->slot >= 0 && !used.insert(s->slot).second)) {
      return error(Code::kInternal, "{} has state slot {}", s->id, s->slot);
    }
  }
  const auto live = static_cast<int32_t>(used.size());
  if (states.free() + states.kept_states() + live != states.total()) {
    return error(Code::kInternal, "{} states, {} worked in, {} kept, {} free", states.total(), live,
                 states.kept_states(), states.free());
  }
  return Status::ok();
}

}  // namespace

Status check_scheduler(const Scheduler& scheduler) {
  const ExecutorLimits& limits = scheduler.limits();
  std::set<uint64_t> seen;
  YQ_RETURN_IF_ERROR(
      check_list(scheduler.waiting(), Sequence::State::kWaiting, "waiting", limits, seen));
  YQ_RETURN_IF_ERROR(
      check_list(scheduler.running(), Sequence::State::kRunning, "running", limits, seen));
  if (static_cast<int32_t>(scheduler.running().size()) > scheduler.max_sequences()) {
    return error(Code::kInternal, "{} sequences run, {} may", scheduler.running().size(),
                 scheduler.max_sequences());
  }
  for (const Sequence* s : scheduler.waiting()) {
    if (!s->pages.empty() || s->slot >= 0) {
      return error(Code::kInternal, "{} waits with pages or state", s->id);
    }
  }
  YQ_RETURN_IF_ERROR(check_pages(scheduler));
  return check_states(scheduler);
}

Status check_plan(const StepPlan& plan, const ExecutorLimits& limits) {
  if (plan.rows() > limits.max_rows ||
      static_cast<int32_t>(plan.logit_rows.size()) > limits.max_logit_rows ||
      plan.positions.size() != plan.tokens.size()) {
    return error(Code::kInternal, "{} rows, {} positions and {} logit rows", plan.rows(),
                 plan.positions.size(), plan.logit_rows.size());
  }
  int32_t row = 0;
  std::set<uint64_t> sequences;
  std::map<int32_t, int32_t> users, writers;  // by page
  for (const PlannedRun& planned : plan.runs) {
    const SequenceRun& run = planned.run;
    const int64_t end = int64_t{run.context} + run.rows;
    if (run.first_row != row || run.rows <= 0 || end > limits.max_context) {
      return error(Code::kInternal, "{}: rows {} + {} after row {}, up to token {}",
                   planned.sequence, run.first_row, run.rows, row, end);
    }
    if (static_cast<int64_t>(run.pages.size()) * limits.page_tokens < end) {
      return error(Code::kInternal, "{}: pages do not cover {} tokens", planned.sequence, end);
    }
    if (!sequences.insert(planned.sequence).second) {
      return error(Code::kInternal, "{} has two runs", planned.sequence);
    }
    for (size_t i = 0; i < run.pages.size(); ++i) {
      const int32_t page = run.pages[i];
      if (page < 0 || page >= limits.pages) {
        return error(Code::kInternal, "{}: page {} does not exist", planned.sequence, page);
      }
      ++users[page];
      if ((static_cast<int64_t>(i) + 1) * limits.page_tokens > run.context) ++writers[page];
    }
    row += run.rows;
  }
  for (const auto& [page, count] : writers) {
    if (count > 1 || users[page] > 1) {
      return error(Code::kInternal, "page {} is written, and shared by {} runs", page, users[page]);
    }
  }
  const bool ascends = std::is_sorted(plan.logit_rows.begin(), plan.logit_rows.end());
  if (row != plan.rows() || !ascends ||
      (!plan.logit_rows.empty() && plan.logit_rows.back() >= plan.rows())) {
    return error(Code::kInternal, "runs cover {} of {} rows", row, plan.rows());
  }
  return Status::ok();
}

}  // namespace yunqi
