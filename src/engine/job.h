// One request inside the engine: what it asked for, its sequence, its stream, and how far it is.
// Engine thread only, but for the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/draft_depth.h"
#include "engine/prompt_lookup.h"
#include "engine/request.h"
#include "engine/sequence.h"

namespace yunqi {

struct Job {
  EngineRequest request;  // `prompt` has moved into sequence.tokens
  std::shared_ptr<TokenStream> stream;
  Sequence sequence;
  bool paused = false;  // by a full stream, until it has kResumeRoom again
  bool ended = false;   // settled; last_event waits for close_ended()
  TokenEvent last_event;
  std::vector<int32_t> forced;  // by the guard; next_forced is the first not yet fed
  size_t next_forced = 0;
  // Pages from the disk tier: leading ones asked for; nothing more is there; wait no longer than.
  int32_t fetched = 0;
  bool fetch_done = false;
  int64_t fetch_until_ns = 0;
  PromptLookup lookup;
  AcceptanceRate acceptance;
  int64_t submit_ns = 0;
  int64_t start_ns = -1, first_token_ns = -1, last_token_ns = -1;  // -1: not yet

  int32_t output_tokens() const { return sequence.size() - sequence.prompt_tokens; }
  bool wants_logprobs() const { return request.top_logprobs >= 0; }
  bool has_forced() const { return next_forced < forced.size(); }
};

}  // namespace yunqi
