// From a request and its prompt to what reads its output and what watches it: one plan per request,
// from which every choice gets its own session and guard.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "runtime/generate_request.h"
#include "runtime/guards.h"
#include "runtime/output_session.h"
#include "runtime/thinking.h"

namespace yunqi {

// What a plan needs to know of the model. Must outlive the guards that a plan makes.
struct OutputContext {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  // may be null
  int32_t vocabulary = 0;
  std::shared_ptr<const CompiledGrammar> grammar = {};  // that binds the answer; may be null
};

class OutputPlan {
 public:
  // `request` as resolve_thinking() left it; `room`: tokens that the context leaves. Errors name
  // the request's field.
  static Result<OutputPlan> make(const GenerateRequest& request, const OutputContext& context,
                                 const std::vector<TokenId>& prompt, int64_t room);

  // For the engine: thinking, forced text and answer together.
  int64_t max_tokens() const { return max_tokens_; }
  OutputOptions session() const { return {.format = format_}; }
  // A guard for one choice; null when there is nothing to watch. `stop_ids`: the engine's.
  std::unique_ptr<TokenGuard> guard(std::shared_ptr<OutputNotes> notes,
                                    const std::vector<TokenId>& stop_ids) const;
  const std::shared_ptr<ThinkingControl>& control() const { return control_; }

 private:
  OutputPlan() = default;
  Status plan_tools(const GenerateRequest& request);
  void plan_thinking(const GenerateRequest& request, const std::vector<TokenId>& prompt);
  void plan_lengths(const GenerateRequest& request, int64_t room);

  OutputContext context_;
  OutputFormat format_;
  std::shared_ptr<ThinkingControl> control_ = std::make_shared<ThinkingControl>();
  int64_t max_tokens_ = 0;
  int64_t answer_limit_ = -1;  // -1: max_tokens_ is the only limit
  int64_t budget_ = -1;
  std::vector<TokenId> closing_;
  bool loop_rule_ = false, call_rule_ = false;
  CallRuleOptions call_;
};

}  // namespace yunqi
