// The fields that bind an answer to a form: OpenAI's response_format, and vLLM's guided_* and
// structured_outputs. At most one of them may be used. Errors name their JSON path.
#pragma once

#include "runtime/generate_request.h"
#include "service/fields.h"

namespace yunqi {

void read_grammar(Fields& fields, GenerateRequest& out);

}  // namespace yunqi
