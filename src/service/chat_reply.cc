// POST /v1/chat/completions, the way out: one JSON object, or a stream of chunks.
#include <utility>

#include "base/sha256.h"
#include "runtime/receipt.h"
#include "service/errors.h"
#include "service/openai_json.h"
#include "service/openai_reply.h"

namespace yunqi {
namespace {

// Of one reply, the same however it is read; of two replies, different.
std::string call_id(const ReplyHead& head, int32_t choice, int32_t index) {
  Sha256 hash;
  hash.update(fmt::format("{} {} {}", head.id, choice, index));
  return "call_" + to_hex(hash.finish()).substr(0, 24);
}

Json call_json(const ReplyHead& head, int32_t choice, int32_t index, const std::string& name,
               const std::string& arguments) {
  return Json::object({{"id", call_id(head, choice, index)},
                       {"type", "function"},
                       {"function", Json::object({{"name", name}, {"arguments", arguments}})}});
}

// The first delta of a call says whose it is; later ones only go on with its arguments.
Json call_delta_json(const ReplyHead& head, int32_t choice, const ToolCallDelta& delta) {
  Json out = Json::object({{"index", delta.index}});
  if (delta.name.empty()) {
    out.set("function", Json::object({{"arguments", delta.arguments}}));
    return out;
  }
  const Json call = call_json(head, choice, delta.index, delta.name, delta.arguments);
  for (const auto& [name, value] : call.as_object()) out.set(name, value);
  return out;
}

Json chat_finish(const OutputEvent& event) {
  const bool calls = event.finish == FinishReason::kStop && event.complete_calls > 0;
  return calls ? Json("tool_calls") : finish_json(event.finish);
}

// What our own limits did to a choice.
void add_limits(Json& item, const OutputEvent& event) {
  if (!event.detail.empty()) item.set("x_finish_detail", Json(event.detail));
  if (!event.thinking_closed.empty()) item.set("x_thinking_closed", Json(event.thinking_closed));
}

class WholeChat final : public DeferredResponse {
 public:
  WholeChat(ReplyHead head, std::unique_ptr<Generation> generation)
      : head_(std::move(head)), generation_(std::move(generation)) {}

  void set_wake(std::function<void()> wake) override { generation_->set_listener(std::move(wake)); }

  std::optional<HttpResponse> poll() override {
    while (std::optional<OutputEvent> event = generation_->try_next()) {
      if (Status failure = failure_of(*event); !failure.is_ok()) return error_response(failure);
      if (choices_.size() <= static_cast<size_t>(event->choice)) {
        choices_.resize(static_cast<size_t>(event->choice) + 1);
      }
      Choice& choice = choices_[static_cast<size_t>(event->choice)];
      choice.content += event->delta.content;
      choice.reasoning += event->delta.reasoning;
      for (const ToolCallDelta& call : event->delta.calls) {
        if (!call.name.empty()) choice.calls.push_back({call.name, {}});
        choice.calls.back().arguments += call.arguments;
      }
      for (TokenText& token : event->tokens) choice.tokens.push_back(std::move(token));
      if (event->kind == OutputEvent::Kind::kFinished) {
        choice.finish = chat_finish(*event);
        choice.stop = stop_reason(*event);
        add_limits(choice.limits, *event);
      }
    }
    if (!generation_->finished()) return std::nullopt;
    return json_response(to_json());
  }

 private:
  struct Call {
    std::string name, arguments;
  };
  struct Choice {
    std::string content, reasoning;
    std::vector<Call> calls;
    std::vector<TokenText> tokens;
    Json finish, stop;
    Json limits = Json::object();
  };

  Json message_json(const Choice& choice, int32_t index) const {
    const bool no_content = choice.content.empty() && !choice.calls.empty();
    Json message = Json::object(
        {{"role", "assistant"}, {"content", no_content ? Json() : Json(choice.content)}});
    if (!choice.reasoning.empty()) message.set("reasoning_content", Json(choice.reasoning));
    message.set("refusal", Json());
    if (choice.calls.empty()) return message;
    Json calls = Json::array();
    for (const Call& call : choice.calls) {
      const auto number = static_cast<int32_t>(calls.as_array().size());
      calls.push_back(call_json(head_, index, number, call.name, call.arguments));
    }
    message.set("tool_calls", std::move(calls));
    return message;
  }

  Json to_json() const {
    Json list = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      Json item = Json::object({{"index", static_cast<int64_t>(i)}});
      item.set("message", message_json(choice, static_cast<int32_t>(i)));
      item.set("logprobs",
               head_.options.logprobs ? chat_logprobs(*head_.model, choice.tokens) : Json());
      item.set("finish_reason", choice.finish);
      item.set("stop_reason", choice.stop);
      for (const auto& [name, value] : choice.limits.as_object()) item.set(name, value);
      if (head_.options.token_ids) {
        Json ids = Json::array();
        for (const TokenText& token : choice.tokens) ids.push_back(Json(token.id));
        item.set("token_ids", std::move(ids));
      }
      list.push_back(std::move(item));
    }
    Json out = reply_object(head_, "chat.completion");
    out.set("choices", std::move(list));
    out.set("usage", usage_json(generation_->usage()));
    if (head_.options.token_ids) out.set("prompt_token_ids", ids_json(generation_->prompt()));
    add_notes(out, head_, *generation_);
    if (head_.options.receipt) out.set("x_receipt", receipt_json(generation_->receipt()));
    return out;
  }

  ReplyHead head_;
  std::unique_ptr<Generation> generation_;
  std::vector<Choice> choices_;
};

class StreamedChat final : public BodyStream {
 public:
  StreamedChat(ReplyHead head, std::unique_ptr<Generation> generation)
      : head_(std::move(head)), generation_(std::move(generation)) {}

  void set_wake(std::function<void()> wake) override { generation_->set_listener(std::move(wake)); }

  State read(std::string& out) override {
    if (ended_) return State::kEnd;
    const size_t before = out.size();
    while (std::optional<OutputEvent> event = generation_->try_next()) {
      if (Status failure = failure_of(*event); !failure.is_ok()) {
        append_sse(out, error_json(failure));
        generation_->cancel();
        return end(out);
      }
      append_event(out, *event);
    }
    if (generation_->finished()) {
      if (head_.options.include_usage) append_usage(out);
      return end(out);
    }
    return out.size() > before ? State::kData : State::kPending;
  }

 private:
  State end(std::string& out) {
    out += "data: [DONE]\n\n";
    ended_ = true;
    return State::kData;
  }

  void append_event(std::string& out, OutputEvent& event) {
    const auto index = static_cast<size_t>(event.choice);
    if (pending_.size() <= index) {
      pending_.resize(index + 1);
      begun_.resize(index + 1, false);
    }
    // Tokens whose text is held back wait for the chunk that brings it.
    for (TokenText& token : event.tokens) pending_[index].push_back(std::move(token));
    const bool last = event.kind == OutputEvent::Kind::kFinished;
    const TextDelta& delta = event.delta;
    if (!begun_[index]) {
      begun_[index] = true;
      append_chunk(out, event, Json::object({{"role", "assistant"}, {"content", ""}}), {});
    }
    if (!delta.reasoning.empty()) {
      append_chunk(
          out, event, Json::object({{"reasoning_content", delta.reasoning}}),
          delta.content.empty() ? std::exchange(pending_[index], {}) : std::vector<TokenText>());
    }
    if (!delta.content.empty()) {
      append_chunk(out, event, Json::object({{"content", delta.content}}),
                   std::exchange(pending_[index], {}));
    }
    if (!delta.calls.empty()) {
      Json calls = Json::array();
      for (const ToolCallDelta& call : delta.calls) {
        calls.push_back(call_delta_json(head_, event.choice, call));
      }
      append_chunk(out, event, Json::object({{"tool_calls", std::move(calls)}}),
                   std::exchange(pending_[index], {}));
    }
    if (last) {
      append_chunk(out, event, Json::object(), std::exchange(pending_[index], {}), true);
    }
  }

  void append_chunk(std::string& out, const OutputEvent& event, Json delta,
                    std::vector<TokenText> tokens, bool last = false) {
    Json item = Json::object({{"index", event.choice}});
    item.set("delta", std::move(delta));
    const bool with_logprobs = head_.options.logprobs && !tokens.empty();
    item.set("logprobs", with_logprobs ? chat_logprobs(*head_.model, tokens) : Json());
    item.set("finish_reason", last ? chat_finish(event) : Json());
    if (last) {
      item.set("stop_reason", stop_reason(event));
      add_limits(item, event);
    }
    if (head_.options.token_ids) {
      Json ids = Json::array();
      for (const TokenText& token : tokens) ids.push_back(Json(token.id));
      item.set("token_ids", std::move(ids));
    }
    Json chunk = reply_object(head_, "chat.completion.chunk");
    chunk.set("choices", Json::array({std::move(item)}));
    if (head_.options.include_usage) chunk.set("usage", Json());
    if (head_.options.token_ids && !std::exchange(prompt_sent_, true)) {
      chunk.set("prompt_token_ids", ids_json(generation_->prompt()));
    }
    if (last) add_notes(chunk, head_, *generation_);
    if (last && generation_->finished() && !head_.options.include_usage) add_receipt(chunk);
    append_sse(out, chunk);
  }

  void append_usage(std::string& out) {
    Json chunk = reply_object(head_, "chat.completion.chunk");
    chunk.set("choices", Json::array());
    chunk.set("usage", usage_json(generation_->usage()));
    add_receipt(chunk);
    append_sse(out, chunk);
  }

  // With the stream's last chunk.
  void add_receipt(Json& chunk) const {
    if (head_.options.receipt) chunk.set("x_receipt", receipt_json(generation_->receipt()));
  }

  ReplyHead head_;
  std::unique_ptr<Generation> generation_;
  std::vector<std::vector<TokenText>> pending_;  // per choice
  std::vector<bool> begun_;                      // per choice: the role chunk is out
  bool prompt_sent_ = false;                     // prompt_token_ids are out
  bool ended_ = false;
};

}  // namespace

HttpReply chat_reply(ReplyHead head, std::unique_ptr<Generation> generation) {
  if (head.options.stream) {
    return sse_response(std::make_unique<StreamedChat>(std::move(head), std::move(generation)));
  }
  return std::make_unique<WholeChat>(std::move(head), std::move(generation));
}

}  // namespace yunqi
