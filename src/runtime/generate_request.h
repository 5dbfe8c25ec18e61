// The one request type that every dialect becomes, and its one validation. Limits live here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace yunqi {

// Named limits; each is tested at the limit and one over.
inline constexpr int32_t kMaxChoices = 8;
inline constexpr size_t kMaxStopStrings = 16;
inline constexpr size_t kMaxStopBytes = 256;
// A request's own; the checkpoint's end ids join them below the engine's kMaxStopIds.
inline constexpr size_t kMaxRequestStopIds = 32;
inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxTools = 128;

// kAuto: the server decides from the request (thinking_policy.h).
enum class ThinkingMode { kDefault, kOn, kOff, kAuto };

// Longest thinking budget that may be asked for.
inline constexpr int64_t kMaxThinkingBudget = int64_t{1} << 24;

enum class ToolChoice { kAuto, kNone, kRequired, kNamed };

struct GenerateRequest {
  enum class Prompt { kChat, kText, kTokens };
  Prompt prompt = Prompt::kChat;

  // kChat: OpenAI-shaped messages and tools, handed to the checkpoint's template.
  Json messages = Json::array();
  Json tools;                             // null or an array
  Json template_kwargs = Json::object();  // extra template variables
  bool add_generation_prompt = true;
  ThinkingMode thinking = ThinkingMode::kDefault;
  std::optional<int64_t> thinking_budget;  // tokens between the tags; 0 is off
  std::optional<std::string> effort;       // OpenAI's level: see thinking.h
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name;  // kNamed
  bool parallel_tool_calls = true;
  std::optional<GrammarSpec> grammar;  // binds the whole answer
  std::string grammar_field;           // what the request calls it

  // kText: text as it is; with a suffix, fill-in-the-middle through the model's FIM tokens.
  std::string text;
  std::optional<std::string> suffix;
  // kTokens.
  std::vector<TokenId> tokens;

  // Sampling; unset fields take the checkpoint's generation_config.
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<double> presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k;
  std::optional<int64_t> seed;  // unset: the server draws one and reports it
  std::vector<std::pair<TokenId, float>> logit_bias;

  std::optional<int64_t> max_tokens;  // unset: what the context leaves
  // With a thinking budget: whether max_tokens counts the thinking too, or the answer alone.
  bool max_tokens_cover_thinking = true;
  bool loop_guard = true;  // end an endless repetition
  int64_t choices = 1;                // n
  std::vector<std::string> stop;
  std::vector<TokenId> stop_ids;
  bool ignore_eos = false;
  std::optional<int64_t> top_logprobs;  // unset: none
  bool echo = false;                    // score and return the prompt (kText, kTokens)
  bool include_stop = false;            // keep the stop string in the text
  bool want_token_ids = false;          // events carry their tokens also without logprobs
  bool want_receipt = false;            // hash the ids: Generation::receipt()

  uint64_t flow = 0;  // who asks, for fairness
};

// What validation compares against.
struct RequestLimits {
  int64_t max_context = 0;
  int32_t vocabulary = 0;
};

// Every range and cross-field rule. Errors are kInvalidArgument with field() naming the request
// field in OpenAI's words ("temperature", "stop[3]").
Status validate(const GenerateRequest& request, const RequestLimits& limits);

}  // namespace yunqi
