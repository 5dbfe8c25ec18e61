// The routes of the OpenAI dialect, and the small ones around it: tokenize, health, metrics.
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/utf8.h"
#include "service/api_service.h"
#include "service/errors.h"
#include "service/fields.h"
#include "service/model_reply.h"
#include "service/openai_json.h"
#include "service/openai_reply.h"
#include "service/openai_request.h"
#include "service/trace_route.h"

namespace yunqi {
namespace {

// A body as a JSON object, whatever its declared type: curl sends form types by default.
Result<Json> parse_body(const HttpRequest& request) {
  Result<Json> body = parse_json(request.body);
  if (!body.is_ok()) return body.status().with_context("the body is no valid JSON");
  if (!body->is_object()) {
    return error(Code::kInvalidArgument, "want a JSON object, found {}", body->type_name());
  }
  return body;
}

// Where a model is between disk and memory; "ready" is all that most clients look for.
Json status_json(const ModelPool::Entry& entry) {
  Json out = Json::object({{"state", model_state_name(entry.state)}});
  if (entry.state == ModelState::kLoading) out.set("progress", Json(entry.progress));
  if (entry.state == ModelState::kFailed) out.set("error", Json(entry.failure));
  out.set("requests", Json(entry.users));
  out.set("waiting", Json(entry.waiting));
  if (entry.bytes > 0) out.set("memory_bytes", Json(entry.bytes));
  if (entry.unload_in_ms >= 0) out.set("unload_in_s", Json(entry.unload_in_ms / 1000));
  return out;
}

Json model_json(const ModelPool::Entry& entry, const std::string& id) {
  Json out = Json::object({{"id", id}, {"object", "model"}});
  out.set("created", Json(entry.model != nullptr ? entry.model->parts().created : int64_t{0}));
  out.set("owned_by", Json("yunqi"));
  if (entry.model != nullptr) out.set("max_model_len", Json(entry.model->parts().max_context));
  if (id != entry.id) out.set("root", Json(entry.id));
  out.set("status", status_json(entry));
  if (entry.model == nullptr) return out;
  const LoadedModel::Parts& parts = entry.model->parts();
  out.set("meta", Json::object({{"architecture", parts.architecture},
                                {"parameters", parts.parameters},
                                {"weight_bytes", parts.weight_bytes},
                                {"vocabulary", parts.vocabulary},
                                {"system_fingerprint", parts.fingerprint}}));
  return out;
}

// Lets a worker wait for an engine thread, but not for ever. Shared with the listener.
struct Bell {
  std::mutex mutex;
  std::condition_variable rung_changed;
  uint64_t rings = 0;  // guarded by mutex
};

// One token through the whole engine: healthy means that tokens come out.
Status run_canary(const LoadedModel& model, int64_t timeout_ms) {
  GenerateRequest request;
  request.prompt = GenerateRequest::Prompt::kTokens;
  request.tokens = {0};
  request.max_tokens = 1;
  request.temperature = 0;
  request.ignore_eos = true;
  YQ_TRY(const std::unique_ptr<Generation> generation, model.start(request));
  const auto bell = std::make_shared<Bell>();
  generation->set_listener([bell] {
    {
      std::lock_guard lock(bell->mutex);
      ++bell->rings;
    }
    bell->rung_changed.notify_one();
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!generation->finished()) {
    uint64_t seen;
    {
      std::lock_guard lock(bell->mutex);
      seen = bell->rings;
    }
    if (std::optional<OutputEvent> event = generation->try_next(); event.has_value()) {
      YQ_RETURN_IF_ERROR(failure_of(*event));
      continue;
    }
    std::unique_lock lock(bell->mutex);
    if (!bell->rung_changed.wait_until(lock, deadline, [&] { return bell->rings != seen; })) {
      return error(Code::kUnavailable, "no token came within {} ms", timeout_ms);
    }
  }
  return Status::ok();
}

// The error of one prompt of a list names which: "prompt[2]", "prompt[2][0]".
Status at_prompt(const Status& status, bool is_list, size_t index) {
  constexpr std::string_view kField = "prompt";
  if (!is_list || !status.field().starts_with(kField)) return status;
  return status.at(fmt::format("prompt[{}]{}", index, status.field().substr(kField.size())));
}

// A generation for each prompt; the ones begun are cancelled when a later one can't.
Result<std::vector<CompletionPart>> start_parts(const LoadedModel& model,
                                                CompletionRequest& completion) {
  std::vector<CompletionPart> parts;
  for (GenerateRequest& generate : completion.generate) {
    // One seed for all prompts: the one that is reported.
    if (!parts.empty()) generate.seed = static_cast<int64_t>(parts[0].generation->seed());
    CompletionPart part;
    part.echo = generate.echo;
    part.choices = static_cast<int32_t>(generate.choices);
    Result<std::unique_ptr<Generation>> generation = model.start(generate);
    if (!generation.is_ok()) {
      return at_prompt(in_request_words(generation.status(), completion.reply),
                       completion.prompt_list, parts.size());
    }
    part.generation = std::move(generation).value();
    if (generate.echo) {
      part.echo_text = sanitize_utf8(model.tokenizer().decode(part.generation->prompt()));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<HttpReply> tokenize_with(const LoadedModel& model, const GenerateRequest& prompt,
                                bool with_text) {
  YQ_TRY(const std::vector<TokenId> ids, model.prompt_ids(prompt));
  Json out = Json::object({{"count", static_cast<int64_t>(ids.size())},
                           {"max_model_len", model.parts().max_context},
                           {"tokens", ids_json(ids)}});
  if (with_text) {
    Json strings = Json::array();
    for (const TokenId id : ids) {
      strings.push_back(Json(sanitize_utf8(model.tokenizer().token_bytes(id))));
    }
    out.set("token_strs", std::move(strings));
  }
  return HttpReply(json_response(out));
}

Result<HttpReply> detokenize_with(const LoadedModel& model, const Json& tokens) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < tokens.as_array().size(); ++i) {
    const Json& item = tokens.as_array()[i];
    if (!item.is_int() || item.as_int() < 0 || item.as_int() >= model.parts().vocabulary) {
      return error(Code::kInvalidArgument, "want token ids from 0 to {}, found {}",
                   model.parts().vocabulary - 1, item.dump())
          .at(fmt::format("tokens[{}]", i));
    }
    ids.push_back(static_cast<TokenId>(item.as_int()));
  }
  const std::string text = sanitize_utf8(model.tokenizer().decode(ids));
  return HttpReply(json_response(Json::object({{"prompt", text}, {"content", text}})));
}

HttpReply reply_or_error(Result<HttpReply> reply) {
  return reply.is_ok() ? std::move(reply).value() : error_response(reply.status());
}

}  // namespace

void ApiService::add_routes() {
  using Request = const HttpRequest&;
  using Match = const RouteMatch&;
  const auto chat = [this](Request request, Match) { return chat_completions(request); };
  const auto complete = [this](Request request, Match) { return completions(request); };
  const auto models = [this](Request, Match) { return list_models(); };
  const auto model = [this](Request, Match match) { return get_model(match.tail); };
  const auto encode = [this](Request request, Match) { return tokenize(request); };
  const auto decode = [this](Request request, Match) { return detokenize(request); };
  const auto alive = [this](Request, Match) { return health(); };
  const auto numbers = [this](Request, Match) { return prometheus(); };
  router_.add({"POST", "/v1/chat/completions", Permission::kUse, chat});
  const auto act = [this](Request, Match match) { return act_on_request(match.tail); };
  router_.add({"POST", "/v1/requests/{id}", Permission::kUse, act});
  router_.add({"POST", "/v1/completions", Permission::kUse, complete});
  router_.add({"GET", "/v1/models", Permission::kUse, models});
  router_.add({"GET", "/v1/models/{id}", Permission::kUse, model});
  router_.add({"POST", "/tokenize", Permission::kUse, encode});
  router_.add({"POST", "/detokenize", Permission::kUse, decode});
  router_.add({"GET", "/health", Permission::kPublic, alive});
  router_.add({"GET", "/metrics", Permission::kUse, numbers});
  add_trace_route(router_, models_);
}

HttpReply ApiService::chat_completions(const HttpRequest& request) {
  const Result<Json> body = parse_body(request);
  if (!body.is_ok()) return error_response(body.status());
  Result<ChatRequest> parsed = parse_chat_request(*body);
  if (!parsed.is_ok()) return error_response(parsed.status());
  if (Status known = check_strict(parsed->reply); !known.is_ok()) return error_response(known);
  const auto chat = std::make_shared<ChatRequest>(std::move(parsed).value());
  const auto reply = [&clock = clock_, &running = running_, chat,
                      id = request.id](std::shared_ptr<LoadedModel> model) {
    Result<std::unique_ptr<Generation>> generation = model->start(chat->generate);
    if (!generation.is_ok()) {
      return HttpReply(error_response(in_request_words(generation.status(), chat->reply)));
    }
    ReplyHead head{"chatcmpl-" + id, clock.unix_seconds(), std::move(model),
                   std::move(chat->reply)};
    running.add(head.id, (*generation)->thinking_control());
    return chat_reply(std::move(head), std::move(generation).value());
  };
  return reply_with_model(models_, chat->reply.model, reply);
}

Status ApiService::check_strict(const ReplyOptions& reply) const {
  if (!options_.strict || reply.ignored.empty()) return Status::ok();
  return error(Code::kInvalidArgument, "is not known here, and this server is strict")
      .at(reply.ignored.front());
}

// POST /v1/requests/{id}/finish_thinking: the answer begins with the next token.
HttpReply ApiService::act_on_request(const std::string& tail) {
  constexpr std::string_view kFinish = "/finish_thinking";
  if (!tail.ends_with(kFinish)) {
    return error_response(error(Code::kNotFound, "want /v1/requests/ID/finish_thinking"));
  }
  const std::string id = tail.substr(0, tail.size() - kFinish.size());
  if (!running_.finish_thinking(id)) {
    return error_response(error(Code::kNotFound, "no request {} is running", id).at("id"));
  }
  return json_response(Json::object({{"id", id}, {"object", "request.finish_thinking"}}));
}

HttpReply ApiService::completions(const HttpRequest& request) {
  const Result<Json> body = parse_body(request);
  if (!body.is_ok()) return error_response(body.status());
  Result<CompletionRequest> parsed = parse_completion_request(*body);
  if (!parsed.is_ok()) return error_response(parsed.status());
  if (Status known = check_strict(parsed->reply); !known.is_ok()) return error_response(known);
  const auto completion = std::make_shared<CompletionRequest>(std::move(parsed).value());
  const auto reply = [&clock = clock_, completion,
                      id = request.id](std::shared_ptr<LoadedModel> model) {
    Result<std::vector<CompletionPart>> parts = start_parts(*model, *completion);
    if (!parts.is_ok()) return HttpReply(error_response(parts.status()));
    ReplyHead head{"cmpl-" + id, clock.unix_seconds(), std::move(model),
                   std::move(completion->reply)};
    return completion_reply(std::move(head), std::move(parts).value());
  };
  return reply_with_model(models_, completion->reply.model, reply);
}

HttpReply ApiService::list_models() const {
  Json data = Json::array();
  for (const ModelPool::Entry& entry : models_.entries()) {
    data.push_back(model_json(entry, entry.id));
    for (const std::string& alias : entry.aliases) data.push_back(model_json(entry, alias));
  }
  return json_response(Json::object({{"object", "list"}, {"data", std::move(data)}}));
}

HttpReply ApiService::get_model(const std::string& id) const {
  const Result<ModelPool::Entry> entry = models_.entry(id);
  if (!entry.is_ok()) return error_response(entry.status());
  return json_response(model_json(*entry, id));
}

HttpReply ApiService::tokenize(const HttpRequest& request) const {
  const auto run = [&]() -> Result<HttpReply> {
    YQ_TRY(const Json body, parse_body(request));
    Fields fields(body);
    const std::string name = fields.string("model").value_or("");
    GenerateRequest prompt;
    const Json* messages = fields.array("messages");
    std::optional<std::string> text = fields.string("prompt");
    if (!text.has_value()) text = fields.string("content");
    prompt.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
    const bool with_text = fields.boolean("return_token_strs").value_or(false);
    YQ_RETURN_IF_ERROR(fields.status());
    if (messages != nullptr) {
      prompt.messages = *messages;
    } else if (text.has_value()) {
      prompt.prompt = GenerateRequest::Prompt::kText;
      prompt.text = *text;
    } else {
      return error(Code::kInvalidArgument, "want \"prompt\" (text) or \"messages\"").at("prompt");
    }
    return reply_with_model(models_, name, [prompt, with_text](auto model) {
      return reply_or_error(tokenize_with(*model, prompt, with_text));
    });
  };
  return reply_or_error(run());
}

HttpReply ApiService::detokenize(const HttpRequest& request) const {
  const auto run = [&]() -> Result<HttpReply> {
    YQ_TRY(const Json body, parse_body(request));
    Fields fields(body);
    const std::string name = fields.string("model").value_or("");
    const Json* tokens = fields.array("tokens");
    YQ_RETURN_IF_ERROR(fields.status());
    if (tokens == nullptr) return error(Code::kInvalidArgument, "is missing").at("tokens");
    return reply_with_model(models_, name, [ids = *tokens](auto model) {
      return reply_or_error(detokenize_with(*model, ids));
    });
  };
  return reply_or_error(run());
}

HttpReply ApiService::health() const {
  Json models = Json::object();
  Status worst;
  for (const ModelPool::Entry& entry : models_.entries()) {
    if (entry.model == nullptr) {  // nobody waits for it, or the pool answers for it
      models.set(entry.id, Json(model_state_name(entry.state)));
      continue;
    }
    const Status status = run_canary(*entry.model, options_.health_timeout_ms);
    models.set(entry.id, Json(status.is_ok() ? "ok" : status.message()));
    // A full queue is a busy engine, not a broken one, as long as its steps go on.
    const EngineStats stats = entry.model->engine().stats();
    const int64_t since_step_ms = (clock_.now_ns() - stats.last_step_ns) / 1'000'000;
    const bool busy = stats.healthy && since_step_ms < options_.health_timeout_ms;
    if (!status.is_ok() && !busy && worst.is_ok()) worst = status;
  }
  const bool ready = worst.is_ok() && !draining_.load();
  const char* word = draining_.load() ? "draining" : ready ? "ok" : "failing";
  HttpResponse response = json_response(
      Json::object({{"status", word}, {"models", std::move(models)}}), ready ? 200 : 503);
  if (!ready) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpReply ApiService::prometheus() const {
  HttpResponse response;
  response.headers.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = metrics_.to_prometheus();
  return response;
}

}  // namespace yunqi
