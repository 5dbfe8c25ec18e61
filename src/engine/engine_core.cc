// See engine_core.h: the queue, and a step from its plan to its record.
#include "engine/engine_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/validation.h"

namespace yunqi {
namespace {

// Room for output tokens that is reserved at submission; more grows by doubling.
constexpr int64_t kReservedTokens = 4096;
constexpr double kNsPerMs = 1e6;

double seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

SchedulerOptions scheduler_options(const EngineOptions& options) {
  SchedulerOptions out;
  out.max_sequences = options.max_sequences;
  out.prefill_chunk = options.prefill_chunk;
  out.prefix_cache = options.prefix_cache;
  out.checkpoint_tokens = options.checkpoint_tokens;
  return out;
}

}  // namespace

EngineCore::EngineCore(std::unique_ptr<Executor> executor, const EngineOptions& options,
                       const Clock& clock, MetricsRegistry* metrics,
                       std::unique_ptr<DiskCache> disk)
    : executor_(std::move(executor)),
      options_(options),
      vocab_(options.vocabulary > 0 ? std::min(options.vocabulary, executor_->limits().vocab)
                                    : executor_->limits().vocab),
      clock_(clock),
      metrics_(metrics, options.model_name),
      scheduler_(executor_->limits(), scheduler_options(options)),
      disk_(std::move(disk)) {
  const ExecutorLimits& limits = executor_->limits();
  const auto rows = static_cast<size_t>(limits.max_rows);
  const auto sequences = static_cast<size_t>(scheduler_.max_sequences());
  plan_.tokens.reserve(rows);
  plan_.positions.reserve(rows);
  plan_.runs.reserve(rows);
  plan_.logit_rows.reserve(static_cast<size_t>(limits.max_logit_rows));
  plan_.commits.reserve(sequences);
  plan_.copies.reserve(3 * sequences);
  left_queue_.reserve(sequences);
  if (disk_ == nullptr && !options.cache_dir.empty()) open_disk();
  totals_.pages_total = totals_.pages_free = limits.pages;
  stats_ = totals_;
}

EngineCore::~EngineCore() {
  stop_admission();
  end_all(FinishReason::kShutdown, Status::ok());
}

// ---- the queue ---------------------------------------------------------------------------------

std::unique_ptr<Job> EngineCore::make_job(EngineRequest request) const {
  auto job = std::make_unique<Job>();
  job->stream = std::make_shared<TokenStream>(doorbell_);
  job->request = std::move(request);
  job->submit_ns = clock_.now_ns();
  const EngineRequest& asked = job->request;
  Sequence& sequence = job->sequence;
  sequence.tokens = std::move(job->request.prompt);
  sequence.prompt_tokens = sequence.size();
  sequence.priority = asked.flow.priority;
  sequence.flow = asked.flow.id;
  sequence.weight = asked.flow.weight;
  sequence.root = root_key(options_.cache_identity, asked.flow.cache_salt);
  sequence.score_prompt = asked.prompt_logprobs;
  sequence.checkpoints = asked.checkpoints;
  const auto longest = static_cast<size_t>(std::min(
      sequence.size() + std::min(asked.max_tokens, kReservedTokens), limits().max_context));
  const size_t pages = longest / static_cast<size_t>(limits().page_tokens) + 1;
  sequence.tokens.reserve(longest);
  sequence.pages.reserve(pages + 1);
  sequence.keys.reserve(pages);
  if (options_.speculation != 0) {
    sequence.draft.reserve(kMaxDrafts);
    job->lookup.reserve(longest);
  }
  return job;
}

// A flow's own limit is said first: waiting for the server would not help.
Status EngineCore::check_queue(uint64_t flow) const {
  if (!stats_.healthy) {
    return error(Code::kUnavailable, "the engine stopped after a device error; restart it");
  }
  if (!admitting_) return error(Code::kUnavailable, "the engine is shutting down");
  const auto own = queued_.by_flow.find(flow);
  const size_t waiting = own == queued_.by_flow.end() ? 0 : own->second;
  if (options_.flow_queue_limit > 0 && waiting >= options_.flow_queue_limit) {
    return error(Code::kRateLimited,
                 "{} of your requests wait already, as many as may; retry later", waiting);
  }
  if (queued_.all >= options_.queue_limit) {
    return error(Code::kUnavailable, "{} requests wait already, as many as may; try again later",
                 queued_.all);
  }
  return Status::ok();
}

Result<std::shared_ptr<TokenStream>> EngineCore::submit(EngineRequest request) {
  {
    // Before any work on it, so that a full engine says so at once.
    const std::lock_guard lock(mutex_);
    YQ_RETURN_IF_ERROR(check_queue(request.flow.id));
  }
  YQ_RETURN_IF_ERROR(validate_request(request, limits(), vocab_));
  std::unique_ptr<Job> job = make_job(std::move(request));
  const std::shared_ptr<TokenStream> stream = job->stream;
  const uint64_t flow = job->sequence.flow;
  {
    const std::lock_guard lock(mutex_);
    YQ_RETURN_IF_ERROR(check_queue(flow));
    job->sequence.id = next_id_++;
    ++queued_.all;
    ++queued_.by_flow[flow];
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
  const auto consider = [&](int64_t deadline) {
    if (deadline > 0 && (earliest == 0 || deadline < earliest)) earliest = deadline;
  };
  for (const auto& job : jobs_) {
    consider(job->request.flow.deadline_ns);
    if (job->sequence.loading && !job->sequence.paused()) consider(job->fetch_until_ns);
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

// ---- a step ------------------------------------------------------------------------------------

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

// Guesses for the sequences that decode in the coming step. With `auto`, as many as pay, and none
// beside prompts: those fill the step better.
void EngineCore::propose_drafts() {
  if (options_.speculation == 0) return;
  const bool automatic = options_.speculation < 0;
  StepOutlook step;
  for (const auto& job : jobs_) {
    const Sequence& s = job->sequence;
    if (s.state == Sequence::State::kRunning && !s.paused() && s.decodes()) ++step.rows;
  }
  step.tokens = step.rows;
  const bool worth_trying = !automatic || !scheduler_.prefilling();
  // Rows with logits that are left when every running sequence has one.
  int32_t room = std::min(limits().max_logit_rows, limits().max_rows) -
                 static_cast<int32_t>(scheduler_.running().size());
  for (const auto& job : jobs_) {
    Sequence& s = job->sequence;
    s.draft.clear();
    const int64_t left = job->request.max_tokens - job->output_tokens() - 1;
    if (!worth_trying || left <= 0 || s.state != Sequence::State::kRunning || s.paused() ||
        !s.decodes() || job->has_forced()) {
      continue;
    }
    const int32_t depth = automatic ? kMaxDrafts : std::min(options_.speculation, kMaxDrafts);
    job->lookup.propose(s.tokens, static_cast<size_t>(std::min<int64_t>(depth, left)), s.draft);
    if (!automatic || s.draft.empty()) continue;
    const double rate = job->acceptance.rate();
    const int32_t drafts =
        choose_depth(rate, cost_, step, std::min(static_cast<int32_t>(s.draft.size()), room));
    if (drafts == 0) job->acceptance.fade();
    s.draft.resize(static_cast<size_t>(drafts));
    step.rows += drafts;
    room -= drafts;
    step.tokens += expected_drafts(rate, drafts);
  }
}

// Rows of a step that decoding sequences wait for: as many as the target allows; where they alone
// take about as long, prompts may take as much again, so that newcomers get in.
int32_t EngineCore::row_budget() const {
  const int32_t most = limits().max_rows;
  if (options_.itl_target_ms <= 0) return most;
  const auto decoding = std::ranges::count_if(
      scheduler_.running(), [](const Sequence* s) { return !s->paused() && s->decodes(); });
  const double own_ns = cost_.ns(static_cast<int32_t>(decoding));
  return cost_.rows_within(std::max(options_.itl_target_ms * kNsPerMs, 2 * own_ns), most);
}

// Requests that run for the first time.
void EngineCore::note_started(int64_t now) {
  for (const auto& job : jobs_) {
    if (job->start_ns >= 0 || job->sequence.state != Sequence::State::kRunning) continue;
    job->start_ns = now;
    left_queue_.push_back(job->sequence.flow);
    metrics_.queue_seconds.observe(seconds(now - job->submit_ns));
  }
}

bool EngineCore::step() {
  const int64_t begin = clock_.now_ns();
  take_arrivals();
  end_cancelled_and_late(begin);
  for (const auto& job : jobs_) {
    if (!job->ended) prepare(*job);
  }
  close_ended();
  propose_drafts();
  if (disk_ != nullptr) fetch_pages(begin);
  scheduler_.plan(plan_, row_budget());
  if (disk_ != nullptr) store_pages();
  note_started(begin);
  publish();  // who runs is known now; the gauges must not lag a step behind
  if (plan_.rows() == 0) return false;
  record_ = {};
  record_.begin_ns = begin;
  const int64_t planned = clock_.now_ns();
  if (options_.gate != nullptr) options_.gate->enter();
  const int64_t entered = clock_.now_ns();
  Result<Matrix<float>> logits = executor_->execute(plan_);
  if (options_.gate != nullptr) options_.gate->leave();
  if (!logits.is_ok()) {
    stop_admission();
    totals_.healthy = false;
    end_all(FinishReason::kError, logits.status());
    return false;
  }
  scheduler_.complete(plan_);
  const int64_t executed = clock_.now_ns();
  record_.plan_ns = planned - begin;
  record_.gate_ns = entered - planned;
  record_.execute_ns = executed - entered;
  use_logits(*logits, executed);
  record_.sample_ns = clock_.now_ns() - executed;
  record_step();
  close_ended();
  return true;
}

void EngineCore::record_step() {
  StepRecord& r = record_;
  const int64_t own_ns = r.plan_ns + r.execute_ns + r.sample_ns;
  cost_.observe(plan_.rows(), own_ns);
  metrics_.step_seconds.observe(seconds(own_ns + r.gate_ns));
  metrics_.step_rows.observe(plan_.rows());
  totals_.last_step_ns = r.begin_ns + own_ns + r.gate_ns;
  r.step = ++totals_.steps;
  r.rows = plan_.rows();
  r.runs = static_cast<int32_t>(plan_.runs.size());
  for (const PlannedRun& run : plan_.runs) {
    r.draft_rows += run.drafts;
    if (run.wants_logits && run.run.rows == 1 + run.drafts) ++r.decode_rows;
  }
  r.prefill_rows = r.rows - r.decode_rows - r.draft_rows;
  const PrefixCacheStats& cache = scheduler_.cache().stats();
  r.running = static_cast<int32_t>(scheduler_.running().size());
  r.waiting = static_cast<int32_t>(scheduler_.waiting().size());
  r.pages_free = scheduler_.cache().available();
  r.cache_pages = cache.pages;
  r.cache_hit_pages = static_cast<int32_t>(cache.hit_pages - traced_.hit_pages);
  r.cache_evictions = static_cast<int32_t>(cache.evicted - traced_.evicted);
  r.preemptions = static_cast<int32_t>(scheduler_.preemptions() - traced_preemptions_);
  traced_ = cache;
  traced_preemptions_ = scheduler_.preemptions();
  totals_.draft_tokens += static_cast<uint64_t>(r.draft_rows);
  totals_.accepted_draft_tokens += static_cast<uint64_t>(r.drafts_accepted);
  metrics_.draft_tokens.add(static_cast<uint64_t>(r.draft_rows));
  metrics_.accepted_tokens.add(static_cast<uint64_t>(r.drafts_accepted));
  trace_.add(record_);
}

// Ended requests leave: what stats() says comes first, so that a reader who saw the end sees it
// too.
void EngineCore::close_ended() {
  publish();
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
  close_ended();
}

void EngineCore::publish() {
  const PrefixCache& cache = scheduler_.cache();
  const int32_t pages = std::max(scheduler_.pages().total(), 1);
  metrics_.running.set(static_cast<double>(scheduler_.running().size()));
  metrics_.waiting.set(static_cast<double>(scheduler_.waiting().size()));
  metrics_.kv_usage.set(static_cast<double>(pages - cache.available()) / pages);
  metrics_.cache_pages.set(cache.stats().pages);
  metrics_.preemptions.add(scheduler_.preemptions() - totals_.preemptions);
  metrics_.cache_evictions.add(cache.stats().evicted - totals_.cache_evictions);
  totals_.running = static_cast<int64_t>(scheduler_.running().size());
  totals_.waiting = static_cast<int64_t>(scheduler_.waiting().size());
  totals_.pages_free = cache.available();
  totals_.cache_pages = cache.stats().pages;
  totals_.cache_evictions = cache.stats().evicted;
  totals_.preemptions = scheduler_.preemptions();
  if (disk_ != nullptr) {
    totals_.disk_bytes = disk_->stats().bytes;
    metrics_.disk_bytes.set(static_cast<double>(totals_.disk_bytes));
  }
  const std::lock_guard lock(mutex_);
  stats_ = totals_;
  for (const uint64_t flow : left_queue_) {
    --queued_.all;
    const auto at = queued_.by_flow.find(flow);
    if (--at->second == 0) queued_.by_flow.erase(at);
  }
  left_queue_.clear();
}

}  // namespace yunqi
