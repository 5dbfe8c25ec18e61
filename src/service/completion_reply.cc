// POST /v1/completions, the way out: choices of several prompts, numbered prompt by prompt.
#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "runtime/receipt.h"
#include "service/errors.h"
#include "service/openai_json.h"
#include "service/openai_reply.h"

namespace yunqi {
namespace {

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}: the older API's parallel lists. The
// first token of an echoed prompt has no logprob: nothing comes before it.
class LogprobLists {
 public:
  void add(const LoadedModel& model, const TokenText& token, bool has_logprob) {
    const std::string text = sanitize_utf8(token.bytes);
    tokens_.push_back(Json(text));
    token_logprobs_.push_back(has_logprob ? Json(static_cast<double>(token.logprob)) : Json());
    Json top = Json::object();
    for (const auto& [id, logprob] : token.top) {
      const std::string name = sanitize_utf8(model.tokenizer().token_bytes(id));
      // Two byte tokens can read the same; the more probable one comes first and stays.
      if (top.find(name) == nullptr) top.set(name, Json(static_cast<double>(logprob)));
    }
    top_logprobs_.push_back(has_logprob ? std::move(top) : Json());
    text_offset_.push_back(Json(static_cast<int64_t>(offset_)));
    // In characters, as clients that slice strings need it.
    for (const char byte : text) offset_ += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }
  bool empty() const { return tokens_.empty(); }
  Json take() {
    return Json::object({{"tokens", Json(std::exchange(tokens_, {}))},
                         {"token_logprobs", Json(std::exchange(token_logprobs_, {}))},
                         {"top_logprobs", Json(std::exchange(top_logprobs_, {}))},
                         {"text_offset", Json(std::exchange(text_offset_, {}))}});
  }

 private:
  JsonArray tokens_, token_logprobs_, top_logprobs_, text_offset_;
  size_t offset_ = 0;
};

struct Choice {
  std::string text;
  LogprobLists logprobs;
  Json token_ids = Json::array();
  bool begun = false;
  bool prompt_sent = false;  // prompt_token_ids are out
};

// What whole and streamed completions share: reading all parts' events in turn.
class CompletionSource {
 public:
  CompletionSource(ReplyHead head, std::vector<CompletionPart> parts)
      : head_(std::move(head)), parts_(std::move(parts)) {
    for (const CompletionPart& part : parts_) {
      first_choice_.push_back(choices_.size());
      choices_.resize(choices_.size() + static_cast<size_t>(part.choices));
    }
  }

  void set_wake(const std::function<void()>& wake) {
    for (CompletionPart& part : parts_) part.generation->set_listener(wake);
  }

  bool finished() const {
    for (const CompletionPart& part : parts_) {
      if (!part.generation->finished()) return false;
    }
    return true;
  }

  // Takes every event that is ready; `emit(choice index, event)` sees each after the choice has
  // taken it in. Returns the error that ends the request.
  template <typename Emit>
  Status drain(Emit&& emit) {
    for (size_t p = 0; p < parts_.size(); ++p) {
      while (std::optional<OutputEvent> event = parts_[p].generation->try_next()) {
        YQ_RETURN_IF_ERROR(failure_of(*event));
        const size_t index = first_choice_[p] + static_cast<size_t>(event->choice);
        take(choices_[index], parts_[p], *event);
        emit(index, *event);
      }
    }
    return Status::ok();
  }

  void cancel() {
    for (CompletionPart& part : parts_) part.generation->cancel();
  }

  Json choice_json(size_t index, const OutputEvent* last) {
    Choice& choice = choices_[index];
    Json item = Json::object(
        {{"index", static_cast<int64_t>(index)}, {"text", std::exchange(choice.text, {})}});
    const bool with_logprobs = head_.options.logprobs && !choice.logprobs.empty();
    item.set("logprobs", with_logprobs ? choice.logprobs.take() : Json());
    item.set("finish_reason", last != nullptr ? finish_json(last->finish) : Json());
    item.set("stop_reason", last != nullptr ? stop_reason(*last) : Json());
    if (head_.options.token_ids) {
      item.set("token_ids", std::exchange(choice.token_ids, Json::array()));
      if (!std::exchange(choice.prompt_sent, true)) {
        item.set("prompt_token_ids", ids_json(part_of(index).generation->prompt()));
      }
    }
    return item;
  }

  Usage usage() const {
    Usage total;
    for (const CompletionPart& part : parts_) {
      const Usage& usage = part.generation->usage();
      total.prompt_tokens += usage.prompt_tokens;
      total.cached_tokens += usage.cached_tokens;
      total.output_tokens += usage.output_tokens;
      total.reasoning_tokens += usage.reasoning_tokens;
    }
    return total;
  }

  // When all is finished: one receipt for all prompts.
  void add_receipt(Json& reply) const {
    if (!head_.options.receipt) return;
    Receipt receipt = first().receipt();
    for (size_t p = 1; p < parts_.size(); ++p) {
      append_outputs(receipt, parts_[p].generation->receipt());
    }
    reply.set("x_receipt", receipt_json(receipt));
  }

  const ReplyHead& head() const { return head_; }
  const Generation& first() const { return *parts_.front().generation; }
  size_t size() const { return choices_.size(); }

 private:
  const CompletionPart& part_of(size_t choice) const {
    const auto after = std::upper_bound(first_choice_.begin(), first_choice_.end(), choice);
    return parts_[static_cast<size_t>(after - first_choice_.begin()) - 1];
  }

  void take(Choice& choice, const CompletionPart& part, const OutputEvent& event) {
    if (!choice.begun) {
      choice.begun = true;
      if (part.echo) begin_echo(choice, part);
    }
    choice.text += event.delta.content;
    for (const TokenText& token : event.tokens) {
      if (head_.options.logprobs) choice.logprobs.add(*head_.model, token, true);
      if (!event.prompt) choice.token_ids.push_back(Json(token.id));
    }
  }

  void begin_echo(Choice& choice, const CompletionPart& part) const {
    choice.text = part.echo_text;
    if (!head_.options.logprobs) return;
    // Scores come for the second token on.
    TokenText first;
    first.id = part.generation->prompt().front();
    first.bytes = head_.model->tokenizer().token_bytes(first.id);
    choice.logprobs.add(*head_.model, first, false);
  }

  ReplyHead head_;
  std::vector<CompletionPart> parts_;
  std::vector<size_t> first_choice_;
  std::vector<Choice> choices_;
};

class WholeCompletion final : public DeferredResponse {
 public:
  explicit WholeCompletion(CompletionSource source) : source_(std::move(source)) {
    finished_.resize(source_.size());
  }

  void set_wake(std::function<void()> wake) override { source_.set_wake(wake); }

  std::optional<HttpResponse> poll() override {
    const Status status = source_.drain([&](size_t index, const OutputEvent& event) {
      if (event.kind == OutputEvent::Kind::kFinished) {
        finished_[index] = source_.choice_json(index, &event);
      }
    });
    if (!status.is_ok()) return error_response(status);
    if (!source_.finished()) return std::nullopt;
    Json out = reply_object(source_.head(), "text_completion");
    out.set("choices", Json(std::move(finished_)));
    out.set("usage", usage_json(source_.usage()));
    add_notes(out, source_.head(), source_.first());
    source_.add_receipt(out);
    return json_response(out);
  }

 private:
  CompletionSource source_;
  JsonArray finished_;
};

class StreamedCompletion final : public BodyStream {
 public:
  explicit StreamedCompletion(CompletionSource source) : source_(std::move(source)) {}

  void set_wake(std::function<void()> wake) override { source_.set_wake(wake); }

  State read(std::string& out) override {
    if (ended_) return State::kEnd;
    const size_t before = out.size();
    const Status status = source_.drain([&](size_t index, const OutputEvent& event) {
      const bool last = event.kind == OutputEvent::Kind::kFinished;
      if (!last && event.delta.content.empty()) return;
      Json chunk = reply_object(source_.head(), "text_completion");
      chunk.set("choices", Json::array({source_.choice_json(index, last ? &event : nullptr)}));
      if (source_.head().options.include_usage) chunk.set("usage", Json());
      if (last) add_notes(chunk, source_.head(), source_.first());
      if (source_.finished() && !source_.head().options.include_usage) source_.add_receipt(chunk);
      append_sse(out, chunk);
    });
    if (!status.is_ok()) {
      append_sse(out, error_json(status));
      source_.cancel();
    }
    if (!status.is_ok() || source_.finished()) {
      if (status.is_ok() && source_.head().options.include_usage) append_usage(out);
      out += "data: [DONE]\n\n";
      ended_ = true;
    }
    return out.size() > before ? State::kData : State::kPending;
  }

 private:
  void append_usage(std::string& out) {
    Json chunk = reply_object(source_.head(), "text_completion");
    chunk.set("choices", Json::array());
    chunk.set("usage", usage_json(source_.usage()));
    source_.add_receipt(chunk);
    append_sse(out, chunk);
  }

  CompletionSource source_;
  bool ended_ = false;
};

}  // namespace

HttpReply completion_reply(ReplyHead head, std::vector<CompletionPart> parts) {
  const bool stream = head.options.stream;
  CompletionSource source(std::move(head), std::move(parts));
  if (stream) return sse_response(std::make_unique<StreamedCompletion>(std::move(source)));
  return std::make_unique<WholeCompletion>(std::move(source));
}

}  // namespace yunqi
