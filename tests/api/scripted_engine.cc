// See scripted_engine.h.
#include "tests/api/scripted_engine.h"

#include <algorithm>
#include <deque>
#include <span>
#include <utility>

namespace yunqi {
namespace {

// The chosen token at -0.5, then its neighbours by id, each 1 less probable in log.
SampledToken scored(int32_t token, int32_t top) {
  SampledToken out{.token = token, .logprob = -0.5f, .top = {}};
  for (int32_t i = 0; i < top; ++i) {
    out.top.push_back({token + i, -0.5f - static_cast<float>(i)});
  }
  return out;
}

// What the script wants, or the first token that the guard allows instead.
int32_t choose(EngineRequest& request, int32_t wanted) {
  if (request.guard == nullptr) return wanted;
  const std::span<const uint64_t> mask = request.guard->mask();
  const auto allowed = [&](size_t id) { return (mask[id / 64] >> (id % 64) & 1) != 0; };
  if (mask.empty() || allowed(static_cast<size_t>(wanted))) return wanted;
  for (size_t id = 0; id < mask.size() * 64; ++id) {
    if (allowed(id)) return static_cast<int32_t>(id);
  }
  return wanted;
}

Json list(const std::vector<int32_t>& ids) {
  Json out = Json::array();
  for (const int32_t id : ids) out.push_back(Json(id));
  return out;
}

}  // namespace

void ScriptedEngine::add(EngineScript script) {
  std::lock_guard lock(mutex_);
  scripts_.push_back(std::move(script));
}

void ScriptedEngine::play(const EngineScript& script, EngineRequest& request, TokenStream& stream) {
  TokenEvent end;
  end.kind = TokenEvent::Kind::kFinished;
  end.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  end.cached_tokens = script.cached;
  if (request.prompt_logprobs) {
    for (size_t i = 1; i < request.prompt.size(); ++i) {
      TokenEvent event;
      event.kind = TokenEvent::Kind::kPrompt;
      event.token = scored(request.prompt[i], request.top_logprobs);
      stream.push(std::move(event));
    }
  }
  const auto is_stop = [&](int32_t token) {
    return std::find(request.stop_ids.begin(), request.stop_ids.end(), token) !=
           request.stop_ids.end();
  };
  std::deque<int32_t> forced;
  for (size_t at = 0; !forced.empty() || at < script.tokens.size();) {
    int32_t token = 0;
    if (!forced.empty()) {
      token = forced.front();
      forced.pop_front();
    } else {
      token = choose(request, script.tokens[at]);
      at += token == script.tokens[at] ? 1 : 0;
    }
    if (is_stop(token)) {
      end.finish = FinishReason::kStop;
      end.stop_id = token;
      break;
    }
    TokenEvent event;
    event.kind = TokenEvent::Kind::kToken;
    event.token = scored(token, request.top_logprobs);
    stream.push(std::move(event));
    ++end.output_tokens;
    GuardVerdict verdict;
    if (request.guard != nullptr) verdict = request.guard->accept(token);
    if (verdict.action == GuardVerdict::Action::kStop) {
      end.finish = FinishReason::kStop;
      break;
    }
    if (verdict.action == GuardVerdict::Action::kForce) {
      forced.assign(verdict.forced.begin(), verdict.forced.end());
    }
    if (end.output_tokens == request.max_tokens) {
      end.finish = FinishReason::kLength;
      break;
    }
  }
  if (end.finish == FinishReason::kNone) {
    if (script.hold) return;
    end.finish = script.finish;
    end.stop_id = script.finish == FinishReason::kStop ? script.stop_id : -1;
    end.error = script.error;
  }
  stream.push(std::move(end));
}

Result<std::shared_ptr<TokenStream>> ScriptedEngine::submit(EngineRequest request) {
  std::lock_guard lock(mutex_);
  EngineScript script;
  if (!scripts_.empty()) {
    script = std::move(scripts_.front());
    scripts_.pop_front();
  }
  if (!script.refuse.is_ok()) return script.refuse;
  auto stream = std::make_shared<TokenStream>();
  play(script, request, *stream);
  submitted_.push_back({std::move(request), stream});
  return stream;
}

EngineStats ScriptedEngine::stats() const {
  EngineStats stats;
  stats.last_step_ns = busy_ ? clock_.now_ns() : clock_.now_ns() - 3'600'000'000'000;
  return stats;
}

std::vector<Json> ScriptedEngine::requests(const Tokenizer& tokenizer) const {
  std::lock_guard lock(mutex_);
  std::vector<Json> out;
  for (const Submitted& one : submitted_) {
    const EngineRequest& request = one.request;
    const SamplingParams& sampling = request.sampling;
    Json bias = Json::object();
    for (const auto& [id, value] : sampling.logit_bias) {
      bias.set(fmt::format("{}", id), Json(static_cast<double>(value)));
    }
    out.push_back(
        Json::object({{"prompt", tokenizer.decode(request.prompt)},
                      {"prompt_ids", list(request.prompt)},
                      {"choice", request.choice},
                      {"max_tokens", request.max_tokens},
                      {"temperature", static_cast<double>(sampling.temperature)},
                      {"top_p", static_cast<double>(sampling.top_p)},
                      {"min_p", static_cast<double>(sampling.min_p)},
                      {"top_k", sampling.top_k},
                      {"repetition_penalty", static_cast<double>(sampling.repetition_penalty)},
                      {"presence_penalty", static_cast<double>(sampling.presence_penalty)},
                      {"frequency_penalty", static_cast<double>(sampling.frequency_penalty)},
                      {"logit_bias", std::move(bias)},
                      {"seed", static_cast<int64_t>(sampling.seed)},
                      {"stop_ids", list(request.stop_ids)},
                      {"top_logprobs", request.top_logprobs},
                      {"prompt_logprobs", request.prompt_logprobs},
                      {"cancelled", one.stream->cancelled()}}));
  }
  return out;
}

}  // namespace yunqi
