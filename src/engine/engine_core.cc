// See engine_core.h. A Job is one request inside the engine; settle() is the only place where one
// ends.
#include "engine/engine_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/validation.h"

namespace yunqi {
namespace {

// Room for output tokens that is reserved at submission; more grows by doubling.
constexpr int64_t kReservedTokens = 4096;

double seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

SchedulerOptions scheduler_options(const EngineOptions& options) {
  return {options.max_sequences, options.prefill_chunk};
}

}  // namespace

struct EngineCore::Job {
  EngineRequest request;  // `prompt` has moved into sequence.tokens
  std::shared_ptr<TokenStream> stream;
  Sequence sequence;
  bool paused = false;  // by a full stream, until it has kResumeRoom again
  bool ended = false;   // settled; last_event waits for close_ended()
  TokenEvent last_event;
  std::vector<int32_t> forced;  // by the guard; next_forced is the first not yet fed
  size_t next_forced = 0;
  int64_t submit_ns = 0;
  int64_t start_ns = -1, first_token_ns = -1, last_token_ns = -1;  // -1: not yet

  int32_t output_tokens() const { return sequence.size() - sequence.prompt_tokens; }
  bool wants_logprobs() const { return request.top_logprobs >= 0; }
  bool has_forced() const { return next_forced < forced.size(); }
};

EngineCore::EngineCore(std::unique_ptr<Executor> executor, const EngineOptions& options,
                       const Clock& clock, MetricsRegistry* metrics)
    : executor_(std::move(executor)),
      options_(options),
      vocab_(options.vocabulary > 0 ? std::min(options.vocabulary, executor_->limits().vocab)
                                    : executor_->limits().vocab),
      clock_(clock),
      metrics_(metrics, options.model_name),
      scheduler_(executor_->limits(), scheduler_options(options)) {
  const ExecutorLimits& limits = executor_->limits();
  const auto rows = static_cast<size_t>(limits.max_rows);
  plan_.tokens.reserve(rows);
  plan_.positions.reserve(rows);
  plan_.runs.reserve(rows);
  plan_.logit_rows.reserve(static_cast<size_t>(limits.max_logit_rows));
  totals_.pages_total = totals_.pages_free = limits.pages;
  stats_ = totals_;
}

EngineCore::~EngineCore() {
  stop_admission();
  end_all(FinishReason::kShutdown, Status::ok());
}

Result<std::shared_ptr<TokenStream>> EngineCore::submit(EngineRequest request) {
  YQ_RETURN_IF_ERROR(validate_request(request, limits(), vocab_));
  auto job = std::make_unique<Job>();
  job->stream = std::make_shared<TokenStream>(doorbell_);
  job->request = std::move(request);
  job->submit_ns = clock_.now_ns();
  Sequence& sequence = job->sequence;
  sequence.tokens = std::move(job->request.prompt);
  sequence.prompt_tokens = sequence.size();
  sequence.priority = job->request.flow.priority;
  sequence.score_prompt = job->request.prompt_logprobs;
  const int64_t longest = std::min(
      sequence.size() + std::min(job->request.max_tokens, kReservedTokens), limits().max_context);
  sequence.tokens.reserve(static_cast<size_t>(longest));
  sequence.pages.reserve(static_cast<size_t>(longest / limits().page_tokens + 1));
  const std::shared_ptr<TokenStream> stream = job->stream;
  {
    const std::lock_guard lock(mutex_);
    if (!stats_.healthy) {
      return error(Code::kUnavailable, "the engine stopped after a device error; restart it");
    }
    if (!admitting_) return error(Code::kUnavailable, "the engine is shutting down");
    const size_t waiting = inbox_.size() + static_cast<size_t>(stats_.waiting);
    if (waiting >= options_.queue_limit) {
      return error(Code::kUnavailable, "{} requests wait already, as many as may; try again later",
                   waiting);
    }
    sequence.id = next_id_++;
    inbox_.push_back(std::move(job));
  }
  doorbell_->ring();
  return stream;
}

void EngineCore::stop_admission() {
  const std::lock_guard lock(mutex_);
  admitting_ = false;
}

EngineStats EngineCore::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.waiting += static_cast<int64_t>(inbox_.size());
  return stats;
}

bool EngineCore::idle() const {
  const std::lock_guard lock(mutex_);
  return inbox_.empty() && jobs_.empty();
}

int64_t EngineCore::next_deadline_ns() const {
  int64_t earliest = 0;
  for (const auto& job : jobs_) {
    const int64_t deadline = job->request.flow.deadline_ns;
    if (deadline > 0 && (earliest == 0 || deadline < earliest)) earliest = deadline;
  }
  return earliest;
}

void EngineCore::take_arrivals() {
  {
    const std::lock_guard lock(mutex_);
    if (inbox_.empty()) return;
    arrivals_.swap(inbox_);
    stats_.waiting += static_cast<int64_t>(arrivals_.size());  // until the next publish()
  }
  for (auto& job : arrivals_) {
    scheduler_.add(&job->sequence);
    jobs_.push_back(std::move(job));
  }
  arrivals_.clear();
}

void EngineCore::end_cancelled_and_late(int64_t now) {
  for (const auto& job : jobs_) {
    const int64_t deadline = job->request.flow.deadline_ns;
    if (job->stream->cancelled()) {
      settle(*job, FinishReason::kCancelled, -1, Status::ok());
    } else if (deadline > 0 && now >= deadline) {
      settle(*job, FinishReason::kError, -1,
             error(Code::kUnavailable, "the request's deadline passed after {} tokens",
                   job->output_tokens()));
    }
  }
}

// Sets what the scheduler may plan for the job: its reader's room, and tokens forced earlier.
void EngineCore::prepare(Job& job) {
  size_t room = job.stream->room();
  job.paused = room == 0 || (job.paused && room < TokenStream::kResumeRoom);
  if (!job.paused && job.has_forced() && !job.wants_logprobs()) {
    emit_forced(job, clock_.now_ns());
    if (job.ended) return;
    room = job.stream->room();
    job.paused = room == 0;
  }
  job.sequence.event_room = job.paused ? 0 : static_cast<int32_t>(room);
}

bool EngineCore::step() {
  const int64_t begin = clock_.now_ns();
  take_arrivals();
  end_cancelled_and_late(begin);
  for (const auto& job : jobs_) {
    if (!job->ended) prepare(*job);
  }
  close_ended(0);
  scheduler_.plan(plan_);
  if (plan_.rows() == 0) {
    publish(0);  // a paused sequence may have lost its pages
    return false;
  }
  for (const auto& job : jobs_) {
    if (job->start_ns < 0 && job->sequence.state == Sequence::State::kRunning) {
      job->start_ns = begin;
      metrics_.queue_seconds.observe(seconds(begin - job->submit_ns));
    }
  }
  publish(0);  // who runs is known now; the gauges must not lag a step behind
  if (options_.gate != nullptr) options_.gate->enter();
  Result<Matrix<float>> logits = executor_->execute(plan_);
  if (options_.gate != nullptr) options_.gate->leave();
  if (!logits.is_ok()) {
    stop_admission();
    totals_.healthy = false;
    end_all(FinishReason::kError, logits.status());
    return false;
  }
  scheduler_.complete(plan_);
  const int64_t end = clock_.now_ns();
  use_logits(*logits, end);
  metrics_.step_seconds.observe(seconds(end - begin));
  metrics_.step_rows.observe(plan_.rows());
  close_ended(end);
  return true;
}

// The plan names sequences; jobs are in order of arrival, so of id.
void EngineCore::use_logits(Matrix<float> logits, int64_t now) {
  int64_t row = 0;
  for (const PlannedRun& planned : plan_.runs) {
    if (!planned.wants_logits) continue;
    const auto at = std::lower_bound(
        jobs_.begin(), jobs_.end(), planned.sequence,
        [](const std::unique_ptr<Job>& job, uint64_t id) { return job->sequence.id < id; });
    YQ_CHECK(at != jobs_.end() && (*at)->sequence.id == planned.sequence, "no job {}",
             planned.sequence);
    Job& job = **at;
    const int32_t end = planned.run.context + planned.run.rows;
    for (int32_t i = planned.wants_all_logits ? planned.run.context : end - 1; i < end; ++i) {
      const std::span<float> values = logits.row_span(row++);
      if (job.ended) continue;
      if (i + 1 < job.sequence.prompt_tokens) {
        score_prompt(job, i + 1, values);
      } else {
        choose_token(job, values, now);
      }
    }
  }
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
    totals_.prompt_tokens += static_cast<uint64_t>(job.sequence.prompt_tokens);
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
  event.output_tokens = job.output_tokens();
  const int64_t started = job.start_ns >= 0 ? job.start_ns : now;
  const int64_t first = job.first_token_ns >= 0 ? job.first_token_ns : now;
  event.queue_ns = started - job.submit_ns;
  event.prefill_ns = first - started;
  event.decode_ns = now - first;
  scheduler_.remove(&job.sequence);
  job.request.guard.reset();
  metrics_.request_seconds.observe(seconds(now - job.submit_ns));
  metrics_.count_finish(reason);
  ++totals_.finished;
  if (reason == FinishReason::kCancelled) ++totals_.cancelled;
}

// Ended requests leave: what stats() says comes first, so that a reader who saw the end sees it
// too.
void EngineCore::close_ended(int64_t step_ns) {
  publish(step_ns);
  for (const auto& job : jobs_) {
    if (job->ended) job->stream->push(std::move(job->last_event));
  }
  std::erase_if(jobs_, [](const std::unique_ptr<Job>& job) { return job->ended; });
}

void EngineCore::end_all(FinishReason reason, const Status& status) {
  take_arrivals();
  for (const auto& job : jobs_) {
    if (!job->ended) settle(*job, reason, -1, status);
  }
  close_ended(0);
}

void EngineCore::publish(int64_t step_ns) {
  const PagePool& pages = scheduler_.pages();
  metrics_.running.set(static_cast<double>(scheduler_.running().size()));
  metrics_.waiting.set(static_cast<double>(scheduler_.waiting().size()));
  metrics_.kv_usage.set(static_cast<double>(pages.total() - pages.free()) /
                        static_cast<double>(std::max(pages.total(), 1)));
  metrics_.preemptions.add(scheduler_.preemptions() - preemptions_counted_);
  preemptions_counted_ = scheduler_.preemptions();
  totals_.running = static_cast<int64_t>(scheduler_.running().size());
  totals_.waiting = static_cast<int64_t>(scheduler_.waiting().size());
  totals_.pages_free = pages.free();
  totals_.preemptions = scheduler_.preemptions();
  if (step_ns != 0) {
    ++totals_.steps;
    totals_.last_step_ns = step_ns;
  }
  const std::lock_guard lock(mutex_);
  stats_ = totals_;
}

}  // namespace yunqi
