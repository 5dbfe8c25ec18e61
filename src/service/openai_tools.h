// The fields of a chat request that are about tools and thinking, checked once for the dialects
// that share OpenAI's names. Each function reads its fields; errors name their JSON path.
#pragma once

#include "runtime/generate_request.h"
#include "service/fields.h"

namespace yunqi {

// tools, tool_choice, parallel_tool_calls; the deprecated functions and function_call are refused.
void read_tools(Fields& fields, GenerateRequest& out);

// enable_thinking (true, false, "auto"), thinking, thinking_budget, thinking_token_budget,
// reasoning_effort, reasoning, chat_template_kwargs.
void read_thinking(Fields& fields, GenerateRequest& out);

}  // namespace yunqi
