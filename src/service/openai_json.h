// The pieces that chat and completion replies share: logprobs, usage, finish reasons, SSE framing.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "runtime/loaded_model.h"
#include "service/openai_reply.h"

namespace yunqi {

// The members that every object of a reply starts with.
Json reply_object(const ReplyHead& head, std::string_view object);
// Adds x_seed, and x_thinking and x_ignored when there is something to report.
void add_notes(Json& reply, const ReplyHead& head, const Generation& generation);
// {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}
Json chat_logprobs(const LoadedModel& model, const std::vector<TokenText>& tokens);
// What ended a choice, in vLLM's word: the stop string, the stop id, or null.
Json stop_reason(const OutputEvent& event);
// [1, 2, ...]
Json ids_json(const std::vector<TokenId>& ids);
void append_sse(std::string& out, const Json& event);
HttpResponse sse_response(std::unique_ptr<BodyStream> stream);
// The error that a client gets for a generation that ended without an answer; OK otherwise.
Status failure_of(const OutputEvent& event);

}  // namespace yunqi
