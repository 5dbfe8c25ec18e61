// Thinking under control: what a request asks for, what the checkpoint can do, and what follows for
// the template, the budget and the report. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/generate_request.h"
#include "text/chat_template.h"

namespace yunqi {

// The text that Qwen's own documentation puts at the end of a thought that ran out of budget.
inline constexpr std::string_view kThinkingClosing =
    "\n\nConsidering the limited time by the user, I have to give the solution based on the "
    "thinking directly now.\n</think>\n\n";
// Closes a thought that has not begun, as templates do when thinking is off.
inline constexpr std::string_view kThinkingNone = "\n</think>\n\n";

enum class ThinkingAbility {
  kNone,        // the template knows no thinking
  kSwitchable,  // enable_thinking
  kAlways,      // the prompt opens <think>, whatever the request says
};
ThinkingAbility thinking_ability(const ChatTemplate* chat_template);

// What OpenAI's effort levels mean here.
struct ThinkingEffort {
  std::string_view name;
  int64_t budget;                  // tokens; 0: no thinking, -1: no limit
  std::string_view template_word;  // for templates with a reasoning_effort of their own
};
// null for an unknown name.
const ThinkingEffort* find_effort(std::string_view name);
std::string effort_names();  // "none, minimal, ..." for errors

// What was decided, for the reply.
struct ThinkingReport {
  bool decided = false;  // by the server: thinking was "auto"
  bool on = false;
  std::string reason;
  int64_t budget = -1;
};

// Turns "auto" and effort levels into on or off, a budget and template variables. Errors:
// kUnsupported when thinking is wanted of a model that can't.
Result<ThinkingReport> resolve_thinking(GenerateRequest& request, ThinkingAbility ability,
                                        bool template_has_effort);

}  // namespace yunqi
