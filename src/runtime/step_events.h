// An engine's steps in Chrome's trace format, for chrome://tracing or Perfetto. Pure functions.
#pragma once

#include <span>

#include "base/json.h"
#include "engine/step_trace.h"

namespace yunqi {

// Appends the events of one engine's steps; `process` tells engines apart. Each step is one span
// with its parts in a row below, and two counters.
void append_step_events(Json& events, std::span<const StepRecord> steps, int process);

}  // namespace yunqi
