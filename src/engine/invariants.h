// What must hold after every step, as pure checks over the scheduler's state and its last plan.
// Run by tests and the simulator; any violation is a bug of ours.
#pragma once

#include "base/status.h"
#include "engine/scheduler.h"

namespace yunqi {

// Pages: held by known sequences and the prefix cache only, as often as their reference counts say,
// free otherwise; a sequence's leading pages are shared, the others its own. State slots likewise.
// Sequences: waiting or running, never both; in order of rank; within the context.
Status check_scheduler(const Scheduler& scheduler);

// Rows and logit rows within the limits, runs cover the rows in order, each sequence at most once,
// pages cover its tokens, and no page that is written is in two runs.
Status check_plan(const StepPlan& plan, const ExecutorLimits& limits);

}  // namespace yunqi
