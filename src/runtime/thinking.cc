// See thinking.h.
#include "runtime/thinking.h"

#include <array>

#include "runtime/thinking_policy.h"

namespace yunqi {
namespace {

constexpr std::array<ThinkingEffort, 7> kEfforts = {{
    {"none", 0, ""},
    {"minimal", 512, "low"},
    {"low", 2048, "low"},
    {"medium", 8192, "medium"},
    {"high", 24576, "xhigh"},
    {"xhigh", 49152, "xhigh"},
    {"max", -1, "xhigh"},
}};

Status check_able(const GenerateRequest& request, ThinkingAbility ability) {
  if (ability != ThinkingAbility::kNone) return Status::ok();
  constexpr const char* kWhy = "this model does not think; leave it out or turn thinking off";
  if (request.thinking == ThinkingMode::kOn) {
    return error(Code::kUnsupported, "{}", kWhy).at("enable_thinking");
  }
  if (request.thinking == ThinkingMode::kDefault && request.thinking_budget.has_value()) {
    return error(Code::kUnsupported, "{}", kWhy).at("thinking_budget");
  }
  return Status::ok();
}

}  // namespace

ThinkingAbility thinking_ability(const ChatTemplate* chat_template) {
  if (chat_template == nullptr) return ThinkingAbility::kNone;
  if (chat_template->mentions("enable_thinking")) return ThinkingAbility::kSwitchable;
  return chat_template->source().find("<think>") != std::string::npos ? ThinkingAbility::kAlways
                                                                      : ThinkingAbility::kNone;
}

const ThinkingEffort* find_effort(std::string_view name) {
  for (const ThinkingEffort& effort : kEfforts) {
    if (effort.name == name) return &effort;
  }
  return nullptr;
}

std::string effort_names() {
  std::string out;
  for (const ThinkingEffort& effort : kEfforts) {
    if (!out.empty()) out += ", ";
    out += effort.name;
  }
  return out;
}

Result<ThinkingReport> resolve_thinking(GenerateRequest& request, ThinkingAbility ability,
                                        bool template_has_effort) {
  ThinkingReport report;
  if (request.thinking == ThinkingMode::kAuto) {
    report.decided = true;
    if (ability == ThinkingAbility::kSwitchable) {
      const ThinkingDecision decision = decide_thinking(request.messages, request.tools);
      report.on = decision.think;
      report.reason = decision.reason;
    } else {
      report.on = ability == ThinkingAbility::kAlways;
      report.reason = report.on ? "the model always thinks" : "the model does not think";
    }
    request.thinking = report.on ? ThinkingMode::kOn : ThinkingMode::kOff;
    if (ability == ThinkingAbility::kAlways) request.thinking = ThinkingMode::kDefault;
  }
  if (request.effort.has_value()) {
    const ThinkingEffort* effort = find_effort(*request.effort);
    if (effort == nullptr) {
      return error(Code::kInvalidArgument, "want one of {}, found \"{}\"", effort_names(),
                   *request.effort)
          .at("reasoning_effort");
    }
    if (ability == ThinkingAbility::kNone && effort->budget != 0) {
      return error(Code::kUnsupported, "this model does not think; use none")
          .at("reasoning_effort");
    }
    // A switch that the request sets itself says whether; the level says how long.
    if (request.thinking == ThinkingMode::kDefault) {
      request.thinking = effort->budget == 0 ? ThinkingMode::kOff : ThinkingMode::kOn;
    }
    if (!request.thinking_budget.has_value() && effort->budget > 0) {
      request.thinking_budget = effort->budget;
    }
    if (template_has_effort && !effort->template_word.empty()) {
      request.template_kwargs.set("reasoning_effort", Json(effort->template_word));
    }
  }
  YQ_RETURN_IF_ERROR(check_able(request, ability));
  if (request.thinking_budget == 0) request.thinking = ThinkingMode::kOff;
  if (request.thinking == ThinkingMode::kOff) request.thinking_budget = 0;
  if (ability == ThinkingAbility::kNone) request.thinking_budget.reset();
  report.on = report.on || request.thinking == ThinkingMode::kOn;
  report.budget = request.thinking_budget.value_or(-1);
  return report;
}

}  // namespace yunqi
