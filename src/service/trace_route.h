// GET /debug/trace: the last steps of every loaded engine, for chrome://tracing or Perfetto.
#pragma once

#include "runtime/model_pool.h"
#include "service/router.h"

namespace yunqi {

// `models` must outlive the router.
void add_trace_route(Router& router, const ModelPool& models);

}  // namespace yunqi
