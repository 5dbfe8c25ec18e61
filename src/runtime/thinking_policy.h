// Decides whether a request is worth thinking about ("auto" thinking): an explainable score over
// cheap features of the conversation. The table of weights in thinking_policy.cc is the policy.
// Pure function, any thread; linear in the last messages, at most kMaxPolicyBytes of each.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"

namespace yunqi {

inline constexpr size_t kMaxPolicyBytes = 16384;  // of a message that are looked at

struct ThinkingDecision {
  bool think = false;
  double score = 0;    // log-odds; thinks above 0
  std::string reason;  // the features that weighed most, for people
};

ThinkingDecision decide_thinking(const Json& messages, const Json& tools);

}  // namespace yunqi
