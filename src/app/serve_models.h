// Which models `yunqi serve` has: those named are loaded before it answers, others on demand.
#pragma once

#include "app/serve_config.h"
#include "base/metrics.h"
#include "ops/device.h"
#include "runtime/arbiter.h"
#include "runtime/model_pool.h"

namespace yunqi {

// The pool's limits as configured.
Result<ModelPoolOptions> pool_options(const ServeConfig& config);

// What loaded models share; must outlive the pool.
struct ServeResources {
  Device& device;
  MetricsRegistry& metrics;
  StepArbiter& arbiter;
};

// Declares every model, pulling those that are not on this machine, and loads the pinned ones.
Status declare_models(const ServeConfig& config, const ServeResources& resources, ModelPool& pool);

}  // namespace yunqi
