// Runs a request again as its receipt says, and gives the receipt of what came out. Blocks until
// all is generated; any thread.
#pragma once

#include <span>

#include "base/result.h"
#include "runtime/loaded_model.h"
#include "runtime/receipt.h"

namespace yunqi {

// `requests` are the prompts of one request, in order. The receipt gives what the server chose for
// the client: the seed, and the length where the request sets none.
Result<Receipt> replay(const LoadedModel& model, std::span<const GenerateRequest> requests,
                       const Receipt& receipt);

}  // namespace yunqi
