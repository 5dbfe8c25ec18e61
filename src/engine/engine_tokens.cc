// What becomes of a step's logits: prompt scores and tokens, which may end a request. settle() is
// the only place where one ends.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/engine_core.h"

namespace yunqi {
namespace {

double seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

}  // namespace

// Jobs are in order of arrival, so of id.
Job& EngineCore::job_of(uint64_t sequence) {
  const auto at = std::lower_bound(
      jobs_.begin(), jobs_.end(), sequence,
      [](const std::unique_ptr<Job>& job, uint64_t id) { return job->sequence.id < id; });
  YQ_CHECK(at != jobs_.end() && (*at)->sequence.id == sequence, "no job {}", sequence);
  return **at;
}

void EngineCore::use_logits(Matrix<float> logits, int64_t now) {
  int64_t row = 0;
  for (const PlannedRun& run : plan_.runs) {
    if (!run.wants_logits) continue;
    Job& job = job_of(run.sequence);
    const int32_t rows = run.wants_all_logits ? run.run.rows : 1;
    if (run.drafts > 0) {
      use_drafted(job, run, logits.slice_rows(row, rows), now);
    } else {
      const int32_t end = run.run.context + run.run.rows;
      for (int32_t i = 0; i < rows && !job.ended; ++i) {
        const int32_t next = end - rows + i + 1;  // index of the token that these logits are for
        if (next < job.sequence.prompt_tokens) {
          score_prompt(job, next, logits.row_span(row + i));
        } else {
          choose_token(job, logits.row_span(row + i), now);
        }
      }
    }
    row += rows;
  }
}

// Chooses tokens as single steps would: a row's logits count when every token up to it is the one
// that was chosen (or forced). What was guessed wrong is computed again later, in the same place.
void EngineCore::use_drafted(Job& job, const PlannedRun& run, Matrix<float> logits, int64_t now) {
  Sequence& sequence = job.sequence;
  int32_t accepted = 0;
  for (int32_t i = 0; i < run.run.rows && !job.ended; ++i) {
    const int32_t index = run.run.context + i;
    if (i > 0) {
      const int32_t guess = plan_.tokens[static_cast<size_t>(run.run.first_row + i)];
      if (index >= sequence.size() || sequence.tokens[static_cast<size_t>(index)] != guess ||
          (index + 1 == sequence.size() && !job.stream->has_room())) {
        break;
      }
      scheduler_.accept_drafts(sequence, 1);
      ++accepted;
    }
    if (index + 1 == sequence.size()) choose_token(job, logits.row_span(i), now);
  }
  job.acceptance.observe(run.drafts, accepted);
  record_.drafts_accepted += accepted;
}

void EngineCore::score_prompt(Job& job, int32_t index, std::span<float> logits) {
  TokenEvent event;
  event.kind = TokenEvent::Kind::kPrompt;
  event.token = score_token(logits, vocab_, job.sequence.tokens[static_cast<size_t>(index)],
                            std::max(job.request.top_logprobs, 0));
  if (event.token.token < 0) {
    settle(job, FinishReason::kError, -1,
           error(Code::kInternal, "the model gave no finite logits for prompt token {}", index));
    return;
  }
  job.stream->push(std::move(event));
}

void EngineCore::choose_token(Job& job, std::span<float> logits, int64_t now) {
  const std::span<const int32_t> tokens = job.sequence.tokens;
  const auto prompt_tokens = static_cast<size_t>(job.sequence.prompt_tokens);
  SamplingContext context;
  context.prompt = tokens.first(prompt_tokens);
  context.output = tokens.subspan(prompt_tokens);
  context.vocab = vocab_;
  context.choice = job.request.choice;
  context.top_logprobs = job.request.top_logprobs;
  if (job.has_forced()) {
    context.forced = job.forced[job.next_forced++];
  } else if (job.request.guard != nullptr) {
    context.allowed = job.request.guard->mask();
  }
  SampledToken token = sample(logits, job.request.sampling, context);
  if (token.token < 0) {
    settle(job, FinishReason::kError, -1,
           error(Code::kInternal,
                 "no token can follow {} output tokens: the model's logits are not "
                 "finite, or its guard allows nothing",
                 job.output_tokens()));
    return;
  }
  emit(job, std::move(token), now);
  if (!job.wants_logprobs()) emit_forced(job, now);
}

// Forced tokens need no logits unless their logprobs are wanted: all that fit the stream at once.
void EngineCore::emit_forced(Job& job, int64_t now) {
  while (!job.ended && job.has_forced() && job.stream->has_room()) {
    SampledToken token;
    token.token = job.forced[job.next_forced++];
    if (token.token < 0 || token.token >= vocab_) {
      settle(job, FinishReason::kError, -1,
             error(Code::kInternal, "a guard forced token {} of {}", token.token, vocab_));
      return;
    }
    emit(job, std::move(token), now);
  }
}

// A chosen token: ends the request or goes to the reader, the guard and the next step.
void EngineCore::emit(Job& job, SampledToken token, int64_t now) {
  const int32_t id = token.token;
  const std::vector<int32_t>& stop_ids = job.request.stop_ids;
  if (std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end()) {
    settle(job, FinishReason::kStop, id, Status::ok());
    return;
  }
  if (job.first_token_ns < 0) {
    job.first_token_ns = now;
    metrics_.first_token_seconds.observe(seconds(now - job.submit_ns));
    metrics_.prompt_tokens.add(static_cast<uint64_t>(job.sequence.prompt_tokens));
    metrics_.cached_tokens.add(static_cast<uint64_t>(job.sequence.cached_tokens));
    totals_.prompt_tokens += static_cast<uint64_t>(job.sequence.prompt_tokens);
    totals_.cached_tokens += static_cast<uint64_t>(job.sequence.cached_tokens);
  } else {
    metrics_.inter_token_seconds.observe(seconds(now - job.last_token_ns));
  }
  job.last_token_ns = now;
  metrics_.output_tokens.add();
  ++totals_.output_tokens;
  job.sequence.tokens.push_back(id);
  TokenEvent event;
  event.token = std::move(token);
  job.stream->push(std::move(event));
  GuardVerdict verdict;
  if (job.request.guard != nullptr) verdict = job.request.guard->accept(id);
  if (verdict.action == GuardVerdict::Action::kStop) {
    settle(job, FinishReason::kStop, -1, Status::ok());
    return;
  }
  if (verdict.action == GuardVerdict::Action::kForce) {
    job.forced = std::move(verdict.forced);
    job.next_forced = 0;
  }
  if (job.output_tokens() >= job.request.max_tokens ||
      job.sequence.size() >= limits().max_context) {
    settle(job, FinishReason::kLength, -1, Status::ok());
  }
}

// The one exit: frees the sequence's state and counts it; close_ended() then closes its stream.
void EngineCore::settle(Job& job, FinishReason reason, int32_t stop_id, Status status) {
  YQ_CHECK(!job.ended, "request {} ends twice", job.sequence.id);
  job.ended = true;
  const int64_t now = clock_.now_ns();
  TokenEvent& event = job.last_event;
  event.kind = TokenEvent::Kind::kFinished;
  event.finish = reason;
  event.stop_id = stop_id;
  event.error = std::move(status);
  event.prompt_tokens = job.sequence.prompt_tokens;
  event.cached_tokens = job.sequence.cached_tokens;
  event.output_tokens = job.output_tokens();
  const int64_t started = job.start_ns >= 0 ? job.start_ns : now;
  const int64_t first = job.first_token_ns >= 0 ? job.first_token_ns : now;
  event.queue_ns = started - job.submit_ns;
  event.prefill_ns = first - started;
  event.decode_ns = now - first;
  scheduler_.remove(&job.sequence);
  if (job.start_ns < 0) left_queue_.push_back(job.sequence.flow);
  job.request.guard.reset();
  metrics_.request_seconds.observe(seconds(now - job.submit_ns));
  metrics_.count_finish(reason);
  ++totals_.finished;
  if (reason == FinishReason::kCancelled) ++totals_.cancelled;
}

}  // namespace yunqi
