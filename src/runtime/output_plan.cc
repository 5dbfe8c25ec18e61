// See output_plan.h.
#include "runtime/output_plan.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

// Of the context, this much is kept for the answer when a thinking budget would leave less.
constexpr int64_t kAnswerReserve = 512;
// Tokens that rules may force beside the closing text: a call's opening.
constexpr int64_t kForcedReserve = 128;

// The prompt's end without white space: it tells whether a thinking tag is open or closed there.
std::string prompt_tail(const Tokenizer& tokenizer, const std::vector<TokenId>& prompt) {
  constexpr size_t kLook = 12;
  const size_t count = std::min(prompt.size(), kLook);
  std::string tail = tokenizer.decode({prompt.data() + (prompt.size() - count), count});
  tail.resize(tail.find_last_not_of(" \n\t\r") + 1);
  return tail;
}

}  // namespace

Status OutputPlan::plan_tools(const GenerateRequest& request) {
  const bool has_tools = request.tools.is_array() && !request.tools.as_array().empty();
  const bool must =
      request.tool_choice == ToolChoice::kRequired || request.tool_choice == ToolChoice::kNamed;
  if (!has_tools) {
    if (!must) return Status::ok();
    return error(Code::kInvalidArgument, "wants tools to choose from").at("tool_choice");
  }
  if (request.tool_choice == ToolChoice::kNone) return Status::ok();
  const ToolFormat tool_format = context_.chat_template == nullptr
                                     ? ToolFormat::kNone
                                     : detect_tool_format(context_.chat_template->source());
  if (tool_format == ToolFormat::kNone) {
    return error(Code::kUnsupported, "this model's chat template writes no tool calls").at("tools");
  }
  auto tools = std::make_shared<const ToolSet>(ToolSet::from(request.tools));
  format_.tools = tools;
  format_.tool_format = tool_format;
  call_.format = tool_format;
  call_.tools = tools;
  call_.vocabulary = context_.vocabulary;
  call_.one_call = !request.parallel_tool_calls || request.tool_choice == ToolChoice::kNamed;
  call_rule_ = must || call_.one_call;
  // A grammar that binds the calls opens them too.
  if (context_.grammar != nullptr) return Status::ok();
  if (request.tool_choice == ToolChoice::kRequired) call_.names = tools->names();
  if (request.tool_choice == ToolChoice::kNamed) call_.names = {request.tool_name};
  return Status::ok();
}

void OutputPlan::plan_thinking(const GenerateRequest& request, const std::vector<TokenId>& prompt) {
  const ThinkingAbility ability = thinking_ability(context_.chat_template);
  format_.thinking = ability != ThinkingAbility::kNone || context_.tokenizer->find(kThinkOpen) >= 0;
  if (!format_.thinking) return;
  const std::string tail = prompt_tail(*context_.tokenizer, prompt);
  format_.starts_thinking = tail.ends_with(kThinkOpen);
  budget_ = request.thinking_budget.value_or(-1);
  closing_ = context_.tokenizer->encode(budget_ == 0 ? kThinkingNone : kThinkingClosing,
                                        {.allow_added_tokens = true});
  const bool opens = ability == ThinkingAbility::kSwitchable && !format_.starts_thinking &&
                     !tail.ends_with(kThinkClose);
  call_.thinks_first = opens && request.thinking == ThinkingMode::kOn;
  call_.may_think = opens && request.thinking == ThinkingMode::kDefault;
}

void OutputPlan::plan_lengths(const GenerateRequest& request, int64_t room) {
  const auto closing = static_cast<int64_t>(closing_.size());
  if (budget_ > 0) {
    const int64_t answer = std::min(request.max_tokens.value_or(kAnswerReserve), room / 2);
    budget_ = std::clamp<int64_t>(room - closing - answer, 1, budget_);
  }
  max_tokens_ = std::min(room, request.max_tokens.value_or(room));
  if (!format_.thinking || budget_ <= 0 || !request.max_tokens.has_value() ||
      request.max_tokens_cover_thinking) {
    return;
  }
  answer_limit_ = *request.max_tokens;
  max_tokens_ = std::min(room, std::min(answer_limit_, room) + budget_ + closing + kForcedReserve);
}

Result<OutputPlan> OutputPlan::make(const GenerateRequest& request, const OutputContext& context,
                                    const std::vector<TokenId>& prompt, int64_t room) {
  OutputPlan plan;
  plan.context_ = context;
  plan.format_.stop = request.stop;
  plan.format_.include_stop = request.include_stop;
  plan.loop_rule_ = request.loop_guard && !request.ignore_eos;
  if (request.prompt == GenerateRequest::Prompt::kChat) {
    YQ_RETURN_IF_ERROR(plan.plan_tools(request));
    plan.plan_thinking(request, prompt);
  }
  plan.plan_lengths(request, room);
  return plan;
}

std::unique_ptr<TokenGuard> OutputPlan::guard(std::shared_ptr<OutputNotes> notes,
                                              const std::vector<TokenId>& stop_ids) const {
  OutputRules rules;
  if (!format_.stop.empty()) rules.push_back(make_stop_rule(format_.stop));
  if (loop_rule_) rules.push_back(make_loop_rule(notes));
  if (format_.thinking) {
    rules.push_back(make_thinking_rule({.budget = budget_,
                                        .closing = closing_,
                                        .stop_ids = stop_ids,
                                        .vocabulary = context_.vocabulary,
                                        .control = control_,
                                        .notes = notes}));
  }
  if (context_.grammar != nullptr) {
    rules.push_back(make_grammar_rule(*context_.tokenizer, {.grammar = context_.grammar,
                                                            .thinks_first = call_.thinks_first,
                                                            .may_think = call_.may_think}));
  }
  if (call_rule_) rules.push_back(make_call_rule(*context_.tokenizer, call_));
  if (answer_limit_ >= 0) rules.push_back(make_answer_limit_rule(answer_limit_, notes));
  if (rules.empty()) return nullptr;
  return make_output_guard(*context_.tokenizer,
                           ThinkingSplitter(format_.thinking, format_.starts_thinking),
                           std::move(rules));
}

}  // namespace yunqi
