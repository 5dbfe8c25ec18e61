// The engine's own limits on a request, whatever front end it came through. Pure; any thread.
#pragma once

#include "base/status.h"
#include "engine/request.h"
#include "engine/step_plan.h"

namespace yunqi {

inline constexpr float kMaxTemperature = 100.0f;
inline constexpr float kMaxPenalty = 100.0f;  // of presence, frequency and each bias, either sign

// kInvalidArgument with the field; ids must be below `vocab`.
Status validate_request(const EngineRequest& request, const ExecutorLimits& limits, int32_t vocab);

}  // namespace yunqi
