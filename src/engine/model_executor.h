// The real Executor: a Model on a Device with its paged KV buffers, planned and allocated once.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/step_plan.h"
#include "model/model.h"

namespace yunqi {

struct ModelExecutorOptions {
  LoadOptions load;  // the same that the model was loaded with
  int32_t max_logit_rows = 64;
  int32_t page_tokens = 32;
  // Memory for KV. 0: enough for 4 sequences of the full context, at most a quarter of what is
  // free, or up to half of it when one context needs that much. A context that the load options
  // left to the checkpoint may then become shorter: limits().max_context says.
  uint64_t kv_bytes = 0;
};

// kNoResources with the numbers when not even one full-context sequence fits.
Result<std::unique_ptr<Executor>> make_model_executor(std::unique_ptr<Model> model, Device& device,
                                                      const ModelExecutorOptions& options);

}  // namespace yunqi
