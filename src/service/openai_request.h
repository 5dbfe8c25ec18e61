// OpenAI-shaped request bodies (with vLLM's sampler extensions) to GenerateRequest.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "runtime/generate_request.h"
#include "service/fields.h"

namespace yunqi {

// What a request asks of the reply rather than of the engine.
struct ReplyOptions {
  std::string model;
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
  bool logprobs = false;
  bool token_ids = false;            // return_token_ids
  bool receipt = false;              // x_receipt
  std::vector<std::string> ignored;  // fields without effect, reported as x_ignored
  // What this request calls fields of GenerateRequest that have several names.
  std::vector<std::pair<std::string, std::string>> field_names;
};

// The same error, naming the field as the request does.
Status in_request_words(const Status& status, const ReplyOptions& reply);

struct ChatRequest {
  GenerateRequest generate;
  ReplyOptions reply;
};

inline constexpr size_t kMaxPrompts = 64;

struct CompletionRequest {
  std::vector<GenerateRequest> generate;  // one per prompt
  bool prompt_list = false;               // "prompt" was a list of prompts
  ReplyOptions reply;
};

Result<ChatRequest> parse_chat_request(const Json& body);
Result<CompletionRequest> parse_completion_request(const Json& body);

}  // namespace yunqi
