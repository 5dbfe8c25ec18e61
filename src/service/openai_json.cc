// See openai_json.h.
#include "service/openai_json.h"

#include <utility>

#include "base/utf8.h"

namespace yunqi {
namespace {

Json bytes_json(std::string_view bytes) {
  Json out = Json::array();
  for (const char byte : bytes) out.push_back(Json(int{static_cast<unsigned char>(byte)}));
  return out;
}

Json token_json(std::string_view bytes, float logprob) {
  return Json::object({{"token", sanitize_utf8(bytes)},
                       {"logprob", static_cast<double>(logprob)},
                       {"bytes", bytes_json(bytes)}});
}

}  // namespace

Json reply_object(const ReplyHead& head, std::string_view object) {
  return Json::object({{"id", head.id},
                       {"object", object},
                       {"created", head.created},
                       {"model", head.model->id()},
                       {"system_fingerprint", head.model->parts().fingerprint}});
}

void add_notes(Json& reply, const ReplyHead& head, const Generation& generation) {
  // As the request would give it, so that it can be sent back.
  reply.set("x_seed", Json(static_cast<int64_t>(generation.seed())));
  if (const ThinkingReport& thinking = generation.thinking(); thinking.decided) {
    reply.set("x_thinking",
              Json::object({{"mode", thinking.on ? "on" : "off"}, {"reason", thinking.reason}}));
  }
  if (head.options.ignored.empty()) return;
  Json names = Json::array();
  for (const std::string& name : head.options.ignored) names.push_back(Json(name));
  reply.set("x_ignored", std::move(names));
}

Json usage_json(const Usage& usage) {
  Json out = Json::object({{"prompt_tokens", usage.prompt_tokens},
                           {"completion_tokens", usage.output_tokens},
                           {"total_tokens", usage.prompt_tokens + usage.output_tokens}});
  out.set("prompt_tokens_details", Json::object({{"cached_tokens", usage.cached_tokens}}));
  out.set("completion_tokens_details",
          Json::object({{"reasoning_tokens", usage.reasoning_tokens}}));
  return out;
}

Json finish_json(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return Json("stop");
    case FinishReason::kLength:
      return Json("length");
    case FinishReason::kCancelled:
    case FinishReason::kShutdown:
      return Json("cancelled");
    case FinishReason::kError:
    case FinishReason::kNone:
      return Json();
  }
  return Json();
}

Json chat_logprobs(const LoadedModel& model, const std::vector<TokenText>& tokens) {
  Json content = Json::array();
  for (const TokenText& token : tokens) {
    Json item = token_json(token.bytes, token.logprob);
    Json top = Json::array();
    for (const auto& [id, logprob] : token.top) {
      top.push_back(token_json(model.tokenizer().token_bytes(id), logprob));
    }
    item.set("top_logprobs", std::move(top));
    content.push_back(std::move(item));
  }
  return Json::object({{"content", std::move(content)}, {"refusal", Json()}});
}

Json stop_reason(const OutputEvent& event) {
  if (event.finish != FinishReason::kStop) return Json();
  if (!event.stop.empty()) return Json(event.stop);
  return event.stop_id >= 0 ? Json(event.stop_id) : Json();
}

Json ids_json(const std::vector<TokenId>& ids) {
  Json out = Json::array();
  for (const TokenId id : ids) out.push_back(Json(id));
  return out;
}

void append_sse(std::string& out, const Json& event) {
  out += "data: ";
  out += event.dump();
  out += "\n\n";
}

HttpResponse sse_response(std::unique_ptr<BodyStream> stream) {
  HttpResponse response;
  response.headers = {{"Content-Type", "text/event-stream; charset=utf-8"},
                      {"Cache-Control", "no-cache"},
                      {"X-Accel-Buffering", "no"}};
  response.stream = std::move(stream);
  return response;
}

Status failure_of(const OutputEvent& event) {
  if (event.finish == FinishReason::kError) return event.error;
  if (event.finish == FinishReason::kShutdown) {
    return error(Code::kUnavailable, "the server is shutting down; try again later");
  }
  return Status::ok();
}

}  // namespace yunqi
