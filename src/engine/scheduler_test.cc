// The scheduler alone: who is admitted, which rows a step has, and who gives way.
#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <deque>

#include "engine/invariants.h"

namespace yunqi {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  void start(int32_t pages, const SchedulerOptions& options, int32_t max_rows = 32) {
    limits_.max_rows = max_rows;
    limits_.max_logit_rows = 8;
    limits_.vocab = 10;
    limits_.max_context = 64;
    limits_.pages = pages;
    limits_.page_tokens = 4;
    scheduler_ = std::make_unique<Scheduler>(limits_, options);
  }

  Sequence* add(int32_t prompt, int32_t priority = 0, uint64_t flow = 0) {
    Sequence& sequence = sequences_.emplace_back();
    sequence.id = sequences_.size();
    sequence.priority = priority;
    sequence.flow = flow;
    for (int32_t i = 0; i < prompt; ++i) {
      sequence.tokens.push_back(static_cast<int32_t>(sequence.id) * 1000 + i);
    }
    sequence.prompt_tokens = prompt;
    scheduler_->add(&sequence);
    return &sequence;
  }

  // One step; sequences that are whole get a token.
  void step() {
    scheduler_->plan(plan_);
    check();
    const std::vector<Sequence*> planned(scheduler_->planned().begin(),
                                         scheduler_->planned().end());
    scheduler_->complete(plan_);
    for (Sequence* s : planned) {
      if (s->computed == s->size()) s->tokens.push_back(7);
    }
    check();
  }

  void check() {
    const Status plan = check_plan(plan_, limits_), state = check_scheduler(*scheduler_);
    ASSERT_TRUE(plan.is_ok()) << plan.message();
    ASSERT_TRUE(state.is_ok()) << state.message();
  }

  int32_t rows_of(const Sequence* sequence) const {
    for (const PlannedRun& run : plan_.runs) {
      if (run.sequence == sequence->id) return run.run.rows;
    }
    return 0;
  }

  ExecutorLimits limits_;
  std::unique_ptr<Scheduler> scheduler_;
  std::deque<Sequence> sequences_;
  StepPlan plan_;
};

using State = Sequence::State;

TEST_F(SchedulerTest, PrefillGoesInChunksThenOneRowPerStep) {
  start(16, {.prefill_chunk = 8});
  Sequence* s = add(20);
  std::vector<int32_t> rows;
  for (int i = 0; i < 5; ++i) {
    step();
    rows.push_back(rows_of(s));
  }
  EXPECT_EQ(rows, (std::vector<int32_t>{8, 8, 4, 1, 1}));
}

TEST_F(SchedulerTest, DecodeRowsComeBeforePrefillRows) {
  start(32, {.prefill_chunk = 30}, 8);
  Sequence* first = add(2);
  step();
  Sequence* second = add(20);
  step();
  EXPECT_EQ(plan_.runs.at(0).sequence, first->id);
  EXPECT_EQ(rows_of(first), 1);
  EXPECT_LE(rows_of(second), 7);
  EXPECT_GE(rows_of(second), 4);
}

TEST_F(SchedulerTest, HigherPriorityIsAdmittedFirst) {
  start(64, {.max_sequences = 1});
  Sequence* low = add(4);
  Sequence* high = add(4, 1);
  step();
  EXPECT_EQ(high->state, State::kRunning);
  EXPECT_EQ(low->state, State::kWaiting);
  scheduler_->remove(high);
  step();
  EXPECT_EQ(low->state, State::kRunning);
}

TEST_F(SchedulerTest, WithoutPagesTheLastComerGivesWayAndReturns) {
  start(16, {});
  Sequence* first = add(28);
  Sequence* second = add(24);
  step();
  ASSERT_EQ(second->state, State::kRunning);
  int steps = 0;
  while (second->preemptions == 0 && ++steps < 40) step();
  EXPECT_EQ(second->state, State::kWaiting);
  EXPECT_TRUE(second->pages.empty());
  EXPECT_EQ(first->state, State::kRunning);
  const int32_t size = second->size();
  scheduler_->remove(first);
  step();
  EXPECT_EQ(second->state, State::kRunning);
  EXPECT_GE(second->size(), size);
}

TEST_F(SchedulerTest, APausedSequenceGetsNoRowsAndItsPagesGoFirst) {
  start(16, {.max_sequences = 2});
  Sequence* paused = add(8);
  Sequence* other = add(8);
  step();
  paused->event_room = 0;
  step();
  EXPECT_EQ(rows_of(paused), 0);
  EXPECT_EQ(rows_of(other), 1);
  Sequence* third = add(8);
  step();
  EXPECT_EQ(third->state, State::kRunning);
  EXPECT_EQ(paused->state, State::kWaiting);
}

TEST_F(SchedulerTest, ScoringAPromptWantsEveryRowsLogitsOnce) {
  start(16, {.prefill_chunk = 100});
  Sequence* s = add(20);
  s->score_prompt = true;
  s->event_room = 5;
  step();
  EXPECT_EQ(rows_of(s), 5);
  EXPECT_TRUE(plan_.runs.at(0).wants_all_logits);
  EXPECT_EQ(plan_.logit_rows.size(), 5u);
  s->event_room = 100;
  step();
  EXPECT_EQ(rows_of(s), 8);  // as many as rows with logits
  step();
  step();
  EXPECT_EQ(rows_of(s), 1);
  EXPECT_FALSE(plan_.runs.at(0).wants_all_logits);
}

// Ever new flows, each with less service than the waiting one's: they pass it only so often.
TEST_F(SchedulerTest, NobodyIsOvertakenForEver) {
  start(16, {.max_sequences = 1});
  Sequence* running = add(20);
  step();
  add(4, 0, 1);  // while it waits, newcomers start at what flow 0 had by now
  Sequence* patient = add(4);
  for (int i = 0; i < 30; ++i) step();
  for (uint64_t flow = 2; patient->state == State::kWaiting && flow < 2 * kMaxOvertaken; ++flow) {
    add(4, 0, flow);
    scheduler_->remove(running);
    step();
    running = scheduler_->running().front();
  }
  EXPECT_EQ(patient->state, State::kRunning);
  EXPECT_EQ(patient->overtaken, kMaxOvertaken);
}

TEST_F(SchedulerTest, RemovingFreesEverything) {
  start(16, {});
  Sequence* running = add(12);
  step();
  Sequence* waiting = add(60);
  scheduler_->remove(running);
  scheduler_->remove(waiting);
  check();
  EXPECT_TRUE(scheduler_->running().empty());
  EXPECT_TRUE(scheduler_->waiting().empty());
  EXPECT_EQ(running->state, State::kIdle);
}

}  // namespace
}  // namespace yunqi
