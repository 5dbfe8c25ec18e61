// The grammar that a request puts its whole answer under: a response format, or tool calls that
// must match their schemas. Pure function, any thread.
#pragma once

#include <optional>

#include "runtime/generate_request.h"
#include "text/grammar.h"
#include "text/tool_call.h"

namespace yunqi {

// nullopt: the answer is free. Errors name the request's field.
Result<std::optional<GrammarSpec>> answer_grammar(const GenerateRequest& request,
                                                  ToolFormat tool_format);

}  // namespace yunqi
