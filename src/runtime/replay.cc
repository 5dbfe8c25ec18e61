// See replay.h.
#include "runtime/replay.h"

#include <utility>

namespace yunqi {

Result<Receipt> replay(const LoadedModel& model, std::span<const GenerateRequest> requests,
                       const Receipt& receipt) {
  Receipt out;
  const Json* length = receipt.sampling.find("max_tokens");
  for (size_t i = 0; i < requests.size(); ++i) {
    GenerateRequest request = requests[i];
    request.want_receipt = true;
    request.seed = static_cast<int64_t>(receipt.seed);
    if (!request.max_tokens.has_value() && length != nullptr && length->is_int()) {
      request.max_tokens = length->as_int();
    }
    YQ_TRY(const std::unique_ptr<Generation> generation, model.start(request));
    while (std::optional<OutputEvent> event = generation->next()) {
      if (event->finish == FinishReason::kError) return event->error;
    }
    if (i == 0) {
      out = generation->receipt();
    } else {
      append_outputs(out, generation->receipt());
    }
  }
  return out;
}

}  // namespace yunqi
