// What the scheduler knows of a request: its tokens, whom it belongs to, and where its state lies.
// The engine owns sequences; the scheduler borrows them. Engine thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/flow_table.h"
#include "engine/prefix_key.h"

namespace yunqi {

struct Sequence {
  enum class State { kIdle, kWaiting, kRunning };

  uint64_t id = 0;       // in order of arrival
  int32_t priority = 0;  // higher first
  uint64_t flow = 0;     // whom it counts for, and with what weight
  uint32_t weight = 1;
  PrefixKey root;               // of its prefix keys: model and salt
  std::vector<int32_t> tokens;  // prompt and output so far
  int32_t prompt_tokens = 0;
  bool score_prompt = false;  // logits of every prompt row are wanted
  // Prompt positions after which recurrent state is worth keeping (ends of messages), ascending.
  std::vector<int32_t> checkpoints;
  // Events that its reader has room for; 0 pauses it. Set before each plan.
  int32_t event_room = 1;
  // Pages of it are on their way from elsewhere: it is not admitted yet. Set before each plan.
  bool loading = false;
  // A guess of the tokens after `tokens`, tried in the same step. Set before each plan.
  std::vector<int32_t> draft;

  // The scheduler's own from here on; others only read.
  State state = State::kIdle;
  FlowAccount* account = nullptr;  // while waiting or running
  int32_t computed = 0;            // tokens whose state is stored in `pages`
  int32_t reached = 0;             // the most `computed` ever was
  int32_t scored = 0;              // prompt rows whose logits were delivered
  int32_t cached_tokens = 0;       // prompt tokens that were found, not computed
  std::vector<int32_t> pages;      // page of token index / page_tokens
  int32_t shared = 0;              // leading pages that the prefix cache knows
  bool shareable = true;           // until a page of it cannot be added to the cache
  std::vector<PrefixKey> keys;     // of its leading full pages, as far as they were asked for
  int32_t slot = -1;               // of recurrent state, while running
  int32_t overtaken = 0;           // later arrivals admitted before it
  uint32_t preemptions = 0;

  int32_t size() const { return static_cast<int32_t>(tokens.size()); }
  bool paused() const { return event_room <= 0; }
  bool scoring() const { return score_prompt && scored < prompt_tokens; }
  // One token short of whole: the next step gives its next token.
  bool decodes() const { return size() - computed == 1 && !scoring(); }
};

}  // namespace yunqi
