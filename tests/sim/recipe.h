// Requests for the simulator, made from a seed: prompts that share beginnings, every sampler,
// guards that mask, stop and force, prompt scoring, stop ids; and what a reader saw of them.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/fake_executor.h"
#include "engine/request.h"

namespace yunqi {

inline constexpr int32_t kSimIds = 40;      // in use
inline constexpr int32_t kSimVocab = 44;    // with padding
inline constexpr int32_t kSimContext = 64;  // tokens of a sequence
inline constexpr int32_t kSimPage = 4;

// Stops, forces or masks by the tokens it has seen: a function of them alone, as guards must be.
class ScriptedGuard final : public TokenGuard {
 public:
  explicit ScriptedGuard(uint64_t script) : script_(script) {}
  std::span<const uint64_t> mask() override {
    bits_ = script_ % 3 == 0 ? fake_hash(hash_, 1) | 3 : ~uint64_t{0};
    return {&bits_, 1};
  }
  GuardVerdict accept(int32_t token) override {
    hash_ = fake_hash(hash_, static_cast<uint64_t>(token));
    GuardVerdict verdict;
    if (hash_ % 97 == 0) verdict.action = GuardVerdict::Action::kStop;
    if (hash_ % 23 == 0) {
      verdict.action = GuardVerdict::Action::kForce;
      for (uint64_t i = 0; i < hash_ % 7; ++i) {
        verdict.forced.push_back(static_cast<int32_t>((hash_ >> (8 * i)) % kSimIds));
      }
    }
    return verdict;
  }

 private:
  const uint64_t script_;
  uint64_t hash_ = 0, bits_ = 0;
};

struct Recipe {
  uint64_t seed = 0;
  uint64_t stem = 0;        // prompts of one stem begin alike,
  int32_t stem_length = 0;  // for so many tokens
  int32_t prompt = 1;
  int64_t max_tokens = 1;
  bool guarded = false, scored = false, stops = false;
  int32_t top_logprobs = -1, priority = 0;
  uint64_t flow = 0;
};

// A random recipe; `random(n)` is below n.
template <typename Random>
Recipe make_recipe(Random&& random) {
  Recipe r;
  r.seed = random(UINT64_MAX);
  r.stem = random(3);
  r.stem_length = static_cast<int32_t>(random(40));
  r.prompt = static_cast<int32_t>(1 + random(random(4) == 0 ? kSimContext - 1 : 20));
  if (random(2) == 0) {
    r.prompt = std::min(kSimContext - 1, r.stem_length + static_cast<int32_t>(1 + random(6)));
  }
  r.max_tokens = static_cast<int64_t>(1 + random(40));
  r.guarded = random(3) == 0;
  r.scored = random(6) == 0;
  r.stops = random(4) == 0;
  r.top_logprobs = random(3) == 0 ? 2 : -1;
  r.priority = static_cast<int32_t>(random(2));
  r.flow = random(3);
  return r;
}

inline EngineRequest cook(const Recipe& recipe) {
  EngineRequest request;
  for (int32_t i = 0; i < recipe.prompt; ++i) {
    const uint64_t source = i < recipe.stem_length ? recipe.stem : recipe.seed;
    request.prompt.push_back(
        static_cast<int32_t>(fake_hash(source, static_cast<uint64_t>(i)) % kSimIds));
  }
  request.max_tokens = recipe.max_tokens;
  request.sampling.seed = recipe.seed;
  const float temperatures[] = {0.0f, 0.2f, 0.6f, 1.0f};
  request.sampling.temperature = temperatures[recipe.seed % 4];
  request.sampling.top_k = recipe.seed % 3 == 0 ? 7 : 0;
  request.sampling.top_p = recipe.seed % 5 == 0 ? 0.9f : 1.0f;
  request.sampling.min_p = recipe.seed % 11 == 0 ? 0.1f : 0.0f;
  request.sampling.presence_penalty = recipe.seed % 7 == 0 ? 0.5f : 0.0f;
  request.sampling.repetition_penalty = recipe.seed % 13 == 0 ? 1.2f : 1.0f;
  request.top_logprobs = recipe.top_logprobs;
  request.prompt_logprobs = recipe.scored;
  if (recipe.stops) request.stop_ids = {static_cast<int32_t>(recipe.seed % kSimIds)};
  if (recipe.guarded) request.guard = std::make_unique<ScriptedGuard>(recipe.seed);
  request.flow.id = recipe.flow;
  request.flow.weight = static_cast<uint32_t>(recipe.flow + 1);
  request.flow.priority = recipe.priority;
  request.flow.cache_salt = recipe.flow / 2;
  if (recipe.seed % 2 == 0) request.checkpoints = {recipe.stem_length};
  return request;
}

// Everything a reader sees, token by token.
struct Seen {
  std::vector<std::pair<int32_t, float>> prompt, output;
  int finishes = 0;
  TokenEvent last;

  void add(TokenEvent event) {
    if (event.kind == TokenEvent::Kind::kFinished) {
      ++finishes;
      last = std::move(event);
    } else {
      auto& list = event.kind == TokenEvent::Kind::kPrompt ? prompt : output;
      list.emplace_back(event.token.token, event.token.logprob);
    }
  }
  bool same_answer(const Seen& other) const {
    return prompt == other.prompt && output == other.output && last.finish == other.last.finish &&
           last.stop_id == other.last.stop_id;
  }
};

// The model that a simulation runs: what changes its logits, and nothing else.
struct SimModel {
  bool hybrid = false;
  int32_t window = 0;

  ExecutorLimits limits(int32_t pages, int32_t slots) const {
    ExecutorLimits out;
    out.max_rows = 24;
    out.max_logit_rows = 16;
    out.vocab = kSimVocab;
    out.max_context = kSimContext;
    out.page_tokens = kSimPage;
    out.pages = pages;
    out.state_slots = hybrid ? slots : 0;
    return out;
  }
  std::unique_ptr<FakeExecutor> make(int32_t pages, int32_t slots = 12) const {
    auto executor = std::make_unique<FakeExecutor>(limits(pages, slots));
    executor->set_window(window);
    return executor;
  }
};

}  // namespace yunqi
