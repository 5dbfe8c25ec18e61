// Generations to OpenAI-shaped replies: whole ones and streams of server-sent events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "http/server.h"
#include "runtime/loaded_model.h"
#include "service/openai_request.h"

namespace yunqi {

// What every reply of one request shares.
struct ReplyHead {
  std::string id;       // "chatcmpl-...", made by the server
  int64_t created = 0;  // unix seconds
  std::shared_ptr<LoadedModel> model;
  ReplyOptions options;
};

HttpReply chat_reply(ReplyHead head, std::unique_ptr<Generation> generation);

// One prompt of a completion request; `echo_text` is put before the output when the request asks
// for an echo.
struct CompletionPart {
  std::unique_ptr<Generation> generation;
  bool echo = false;
  std::string echo_text;
  int32_t choices = 1;
};
HttpReply completion_reply(ReplyHead head, std::vector<CompletionPart> parts);

Json usage_json(const Usage& usage);
// "stop", "length", ...; FinishReason::kError has none.
Json finish_json(FinishReason reason);

}  // namespace yunqi
