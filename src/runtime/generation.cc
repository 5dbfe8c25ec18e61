// See generation.h.
#include "runtime/generation.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

const char* detail_of(OutputNotes::Ended ended) {
  if (ended == OutputNotes::Ended::kRepetition) return "repetition";
  return ended == OutputNotes::Ended::kAnswerLimit ? "answer_limit" : "";
}

const char* reason_of(OutputNotes::Closed closed) {
  if (closed == OutputNotes::Closed::kBudget) return "budget";
  if (closed == OutputNotes::Closed::kRequest) return "request";
  return closed == OutputNotes::Closed::kRepetition ? "repetition" : "";
}

}  // namespace

StreamGeneration::StreamGeneration(const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                                   std::vector<Choice> choices, Options options)
    : tokenizer_(tokenizer),
      prompt_(std::move(prompt)),
      choices_(std::move(choices)),
      options_(std::move(options)),
      signal_(std::make_shared<Signal>()),
      unfinished_(choices_.size()) {
  usage_.prompt_tokens = static_cast<int64_t>(prompt_.size());
  if (options_.receipt.has_value()) {
    receipt_ = *std::move(options_.receipt);
    receipt_.outputs.resize(choices_.size());
    for (size_t i = 0; i < choices_.size(); ++i) hashes_.push_back(std::make_unique<IdHash>());
  }
  for (Choice& choice : choices_) {
    choice.stream->set_listener([signal = signal_] {
      std::function<void()> listener;
      {
        std::lock_guard lock(signal->mutex);
        ++signal->count;
        listener = signal->listener;
      }
      signal->ready.notify_one();
      if (listener) listener();
    });
  }
}

StreamGeneration::~StreamGeneration() {
  set_listener({});
  cancel();
}

void StreamGeneration::set_listener(std::function<void()> listener) {
  std::lock_guard lock(signal_->mutex);
  signal_->listener = std::move(listener);
}

void StreamGeneration::cancel() {
  for (Choice& choice : choices_) {
    if (!choice.finished) choice.stream->cancel();
  }
}

std::optional<OutputEvent> StreamGeneration::try_next() {
  for (size_t i = 0; i < choices_.size(); ++i) {
    const size_t index = (turn_ + i) % choices_.size();
    if (choices_[index].finished) continue;
    std::optional<TokenEvent> event = choices_[index].stream->try_next();
    if (!event.has_value()) continue;
    turn_ = (index + 1) % choices_.size();
    return translate(static_cast<int32_t>(index), *std::move(event));
  }
  return std::nullopt;
}

std::optional<OutputEvent> StreamGeneration::next() {
  while (!finished()) {
    uint64_t seen;
    {
      std::lock_guard lock(signal_->mutex);
      seen = signal_->count;
    }
    if (std::optional<OutputEvent> event = try_next(); event.has_value()) return event;
    std::unique_lock lock(signal_->mutex);
    signal_->ready.wait(lock, [&] { return signal_->count != seen; });
  }
  return std::nullopt;
}

TokenText StreamGeneration::text_of(const SampledToken& token) const {
  TokenText out;
  out.id = token.token;
  out.bytes = tokenizer_.token_bytes(token.token);
  out.logprob = token.logprob;
  out.top.reserve(token.top.size());
  for (const TokenLogprob& top : token.top) out.top.emplace_back(top.token, top.logprob);
  return out;
}

OutputEvent StreamGeneration::translate(int32_t index, TokenEvent event) {
  if (event.kind == TokenEvent::Kind::kFinished) return finish(index, event);
  OutputEvent out;
  out.choice = index;
  if (event.kind == TokenEvent::Kind::kPrompt) {
    out.prompt = true;
    out.tokens.push_back(text_of(event.token));
    return out;
  }
  if (options_.hide_output) return out;
  Choice& choice = choices_[static_cast<size_t>(index)];
  if (!hashes_.empty()) hashes_[static_cast<size_t>(index)]->add(event.token.token);
  out.delta = choice.session.push(event.token.token);
  if (options_.want_tokens) out.tokens.push_back(text_of(event.token));
  return out;
}

OutputEvent StreamGeneration::finish(int32_t index, const TokenEvent& event) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  choice.finished = true;
  --unfinished_;
  OutputEvent out;
  out.kind = OutputEvent::Kind::kFinished;
  out.choice = index;
  if (!options_.hide_output) {
    out.delta = choice.session.finish();
    usage_.output_tokens += event.output_tokens;
    usage_.reasoning_tokens += choice.session.reasoning_tokens();
    out.complete_calls = choice.session.complete_calls();
  }
  out.finish = event.finish;
  if (choice.notes != nullptr) {
    const OutputNotes& notes = *choice.notes;
    // Forced closing text is no thinking of the model's.
    const int64_t forced = notes.thinking_tokens.load();
    if (forced >= 0) usage_.reasoning_tokens += forced - choice.session.reasoning_tokens();
    out.detail = detail_of(notes.ended.load());
    out.thinking_closed = reason_of(notes.closed.load());
    if (!out.detail.empty() && out.finish == FinishReason::kStop)
      out.finish = FinishReason::kLength;
  }
  out.stop = choice.session.stop_string();
  out.stop_id = event.stop_id;
  if (options_.hide_output && event.finish == FinishReason::kStop) {
    // The hidden token's own end says nothing about the prompt.
    out.finish = FinishReason::kLength;
    out.stop_id = -1;
  }
  out.error = event.error;
  usage_.cached_tokens = std::max(usage_.cached_tokens, event.cached_tokens);
  timings_.queue_ns = std::max(timings_.queue_ns, event.queue_ns);
  timings_.prefill_ns = std::max(timings_.prefill_ns, event.prefill_ns);
  timings_.decode_ns = std::max(timings_.decode_ns, event.decode_ns);
  if (!hashes_.empty()) write_receipt(index, out);
  return out;
}

void StreamGeneration::write_receipt(int32_t index, const OutputEvent& event) {
  IdHash& hash = *hashes_[static_cast<size_t>(index)];
  ReceiptOutput& output = receipt_.outputs[static_cast<size_t>(index)];
  output.index = output.choice = index;
  output.prompt_tokens = static_cast<int64_t>(prompt_.size());
  output.prompt_sha256 = hash_ids(prompt_);
  output.output_tokens = hash.count();
  output.output_sha256 = hash.finish();
  output.finish_reason = finish_name(event.finish);
}

}  // namespace yunqi
