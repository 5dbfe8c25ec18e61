// See bench_serve_load.h. Each session keeps its own conversation; the loop starts what is due and
// lets the client group wait for bytes.
#include "app/bench_serve_load.h"

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "http/client_group.h"

namespace yunqi {
namespace {

constexpr int64_t kShortWords = 40, kLongWords = 440;
constexpr size_t kMaxLineBytes = size_t{4} << 20;
constexpr size_t kMaxErrorBytes = 4096;
constexpr int64_t kWaitMs = 100;

const Json* at_path(const Json* json, std::initializer_list<std::string_view> path) {
  for (const std::string_view name : path) {
    if (json != nullptr) json = json->find(name);
  }
  return json;
}

int64_t integer_at(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* value = at_path(&json, path);
  return value != nullptr && value->is_int() ? value->as_int() : 0;
}

ClientRequest post(const LoadOptions& options, std::string_view path, const Json& body) {
  ClientRequest request;
  request.method = "POST";
  request.url = options.base_url + std::string(path);
  request.headers = options.headers;
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = body.dump();
  request.idle_timeout_ms = options.timeout_ms;
  return request;
}

Json message(std::string_view role, std::string text) {
  return Json::object({{"role", role}, {"content", std::move(text)}});
}

std::string error_text(int status, const std::string& body) {
  const Result<Json> json = parse_json(body);
  const Json* text = json.is_ok() ? at_path(&*json, {"error", "message"}) : nullptr;
  return fmt::format(
      "HTTP {}: {}", status,
      text != nullptr && text->is_string() ? text->as_string() : body.substr(0, kMaxErrorBytes));
}

// Server-sent events of one answer, as bytes come.
class AnswerReader {
 public:
  explicit AnswerReader(LoadRecord& record) : record_(record) {}

  void take(std::string_view bytes, int64_t now) {
    pending_ += bytes;
    size_t at = 0;
    for (size_t end; (end = pending_.find('\n', at)) != std::string::npos; at = end + 1) {
      take_line(std::string_view(pending_).substr(at, end - at), now);
    }
    pending_.erase(0, at);
    if (pending_.size() > kMaxLineBytes) {
      pending_.clear();
      record_.failure = "an event is longer than 4 MiB";
    }
  }

  bool done() const { return done_; }
  std::string text;

 private:
  void take_line(std::string_view line, int64_t now) {
    if (!line.starts_with("data:")) return;
    line.remove_prefix(5);
    while (!line.empty() && (line.front() == ' ')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == '\r')) line.remove_suffix(1);
    if (line == "[DONE]") {
      done_ = true;
      return;
    }
    const Result<Json> event = parse_json(line);
    if (!event.is_ok()) {
      record_.failure = "an event is no JSON";
      return;
    }
    take_event(*event, now);
  }

  void take_event(const Json& event, int64_t now) {
    if (const Json* failure = event.find("error"); failure != nullptr) {
      const Json* why = failure->find("message");
      record_.failure = why != nullptr && why->is_string() ? why->as_string() : "error event";
      return;
    }
    if (const Json* usage = event.find("usage"); usage != nullptr && usage->is_object()) {
      record_.prompt_tokens = integer_at(*usage, {"prompt_tokens"});
      record_.output_tokens = integer_at(*usage, {"completion_tokens"});
      record_.cached_tokens = integer_at(*usage, {"prompt_tokens_details", "cached_tokens"});
    }
    const Json* choices = event.find("choices");
    if (choices == nullptr || !choices->is_array()) return;
    bool any = false;
    for (const Json& choice : choices->as_array()) {
      for (const Json* piece : {at_path(&choice, {"text"}), at_path(&choice, {"delta", "content"}),
                                at_path(&choice, {"delta", "reasoning_content"})}) {
        if (piece == nullptr || !piece->is_string() || piece->as_string().empty()) continue;
        text += piece->as_string();
        any = true;
      }
    }
    if (any) record_.chunk_ns.push_back(now);
  }

  LoadRecord& record_;
  std::string pending_;
  bool done_ = false;
};

struct Session {
  explicit Session(uint64_t seed) : random(seed) {}
  LoadRandom random;
  Json messages = Json::array();  // chat
  std::string text;               // completions
  int64_t turn = 0;
  LoadRecord record;
  std::unique_ptr<AnswerReader> answer;
  std::string error_body;
};

class LoadRun {
 public:
  LoadRun(const LoadOptions& options, const Calibration& server, std::unique_ptr<ClientGroup> group)
      : options_(options),
        server_(server),
        group_(std::move(group)),
        arrivals_(options.seed),
        begin_ns_(system_clock().now_ns()),
        next_arrival_ns_(begin_ns_) {
    LoadRandom random(options.seed ^ 0x9E3779B97F4A7C15u);
    if (options.prefix_tokens > 0) {
      prefix_ = make_text(random, options.prefix_tokens, server.tokens_per_word);
    }
  }

  Result<std::vector<LoadRecord>> run(const std::function<bool()>& keep_going) {
    while (keep_going()) {
      start_due();
      if (!failure_.is_ok()) return failure_;
      if (group_->active() == 0 && !may_start(system_clock().now_ns())) break;
      group_->run(wait_ms());
    }
    return std::move(records_);
  }

 private:
  bool may_start(int64_t now) const {
    const bool late = options_.duration_s > 0 &&
                      static_cast<double>(now - begin_ns_) >= options_.duration_s * 1e9;
    return !late && asked_ < options_.requests;
  }

  int64_t wait_ms() const {
    if (options_.rate <= 0) return kWaitMs;
    const int64_t left = (next_arrival_ns_ - system_clock().now_ns()) / 1'000'000;
    return std::clamp<int64_t>(left, 0, kWaitMs);
  }

  void start_due() {
    while (running_ < options_.concurrency) {
      const int64_t now = system_clock().now_ns();
      if (!may_start(now) || (options_.rate > 0 && now < next_arrival_ns_)) return;
      if (options_.rate > 0) {
        next_arrival_ns_ += static_cast<int64_t>(arrivals_.exponential() / options_.rate * 1e9);
      }
      ++running_;
      auto session = std::make_shared<Session>(options_.seed + ++sessions_);
      if (!prefix_.empty() && options_.chat) {
        session->messages.push_back(message("system", prefix_));
      }
      if (!options_.chat) session->text = prefix_;
      start_turn(session);
    }
  }

  Json body_of(Session& session) {
    const int64_t tokens = options_.prompt.draw(session.random);
    std::string words = make_text(session.random, tokens, server_.tokens_per_word);
    Json body = Json::object({{"model", server_.model}});
    if (options_.chat) {
      session.messages.push_back(message("user", std::move(words)));
      body.set("messages", session.messages);
    } else {
      session.text += (session.text.empty() ? "" : " ") + words;
      body.set("prompt", Json(session.text));
    }
    body.set("max_tokens", Json(options_.output.draw(session.random)));
    body.set("temperature", Json(options_.temperature));
    body.set("stream", Json(true));
    body.set("stream_options", Json::object({{"include_usage", true}}));
    if (options_.ignore_eos) body.set("ignore_eos", Json(true));
    for (const auto& [name, value] : options_.extra_body.as_object()) body.set(name, value);
    return body;
  }

  void start_turn(const std::shared_ptr<Session>& session) {
    ++asked_;
    const std::string_view path = options_.chat ? "/v1/chat/completions" : "/v1/completions";
    const ClientRequest request = post(options_, path, body_of(*session));
    session->record = {};
    session->error_body.clear();
    session->answer = std::make_unique<AnswerReader>(session->record);
    ClientGroup::Callbacks callbacks;
    callbacks.on_head = [session](int status) { session->record.http_status = status; };
    callbacks.on_chunk = [session](std::string_view chunk) {
      if (session->record.http_status == 200) {
        session->answer->take(chunk, system_clock().now_ns());
      } else if (session->error_body.size() < kMaxErrorBytes) {
        session->error_body += chunk;
      }
    };
    callbacks.on_end = [this, session](const Status& status) { end_turn(session, status); };
    session->record.start_ns = system_clock().now_ns();
    failure_ = group_->start(request, std::move(callbacks));
  }

  void end_turn(const std::shared_ptr<Session>& session, const Status& status) {
    LoadRecord& record = session->record;
    record.end_ns = system_clock().now_ns();
    if (!status.is_ok()) {
      record.failure = status.message();
    } else if (record.http_status != 200) {
      record.failure = error_text(record.http_status, session->error_body);
    } else if (record.failure.empty() && !session->answer->done()) {
      record.failure = "the answer ended before [DONE]";
    }
    if (record.output_tokens == 0) {
      record.output_tokens = static_cast<int64_t>(record.chunk_ns.size());
    }
    const bool whole = record.failure.empty();
    records_.push_back(std::move(record));
    if (whole && ++session->turn < options_.turns && may_start(system_clock().now_ns())) {
      add_answer(*session);
      start_turn(session);
      if (failure_.is_ok()) return;
    }
    --running_;
  }

  void add_answer(Session& session) {
    std::string tool;
    if (options_.tool_tokens > 0) {
      tool = make_text(session.random, options_.tool_tokens, server_.tokens_per_word);
    }
    if (!options_.chat) {
      session.text += session.answer->text;
      if (!tool.empty()) session.text += " " + tool;
      return;
    }
    session.messages.push_back(message("assistant", session.answer->text));
    if (!tool.empty()) session.messages.push_back(message(options_.tool_role, std::move(tool)));
  }

  const LoadOptions& options_;
  const Calibration& server_;
  const std::unique_ptr<ClientGroup> group_;
  LoadRandom arrivals_;
  const int64_t begin_ns_;
  int64_t next_arrival_ns_;
  std::string prefix_;
  int64_t running_ = 0;  // sessions
  uint64_t sessions_ = 0;
  int64_t asked_ = 0;  // requests
  std::vector<LoadRecord> records_;
  Status failure_;  // of starting a request
};

Result<Json> ask(const ClientRequest& request) {
  YQ_TRY(const ClientResponse response, http_request(request));
  if (response.status != 200) {
    return error(response.status == 404 ? Code::kNotFound : Code::kUnavailable, "{}: {}",
                 request.url, error_text(response.status, response.body));
  }
  Result<Json> json = parse_json(response.body);
  if (!json.is_ok()) return json.status().with_context(request.url);
  return json;
}

// Tokens of a text, by the server's tokenizer; 0 when it does not tell.
int64_t tokens_by_route(const LoadOptions& options, const std::string& model,
                        const std::string& text) {
  const Json body = Json::object({{"model", model}, {"prompt", text}, {"content", text}});
  const Result<Json> reply = ask(post(options, "/tokenize", body));
  if (!reply.is_ok()) return 0;
  if (const int64_t count = integer_at(*reply, {"count"}); count > 0) return count;
  const Json* tokens = reply->find("tokens");
  return tokens != nullptr && tokens->is_array() ? static_cast<int64_t>(tokens->as_array().size())
                                                 : 0;
}

Result<int64_t> tokens_by_usage(const LoadOptions& options, const std::string& model,
                                const std::string& text) {
  Json body = Json::object({{"model", model}, {"max_tokens", 1}});
  if (options.chat) {
    body.set("messages", Json::array({message("user", text)}));
  } else {
    body.set("prompt", Json(text));
  }
  const char* path = options.chat ? "/v1/chat/completions" : "/v1/completions";
  YQ_TRY(const Json reply, ask(post(options, path, body)));
  const int64_t tokens = integer_at(reply, {"usage", "prompt_tokens"});
  if (tokens > 0) return tokens;
  return error(Code::kUnsupported,
               "{}: the reply has no usage.prompt_tokens, and /tokenize is "
               "missing: prompts can't be sized",
               options.base_url);
}

}  // namespace

Result<Calibration> calibrate(const LoadOptions& options) {
  Calibration out;
  out.model = options.model;
  if (out.model.empty()) {
    ClientRequest request = post(options, "/v1/models", Json::object());
    request.method = "GET";
    request.body.clear();
    YQ_TRY(const Json models, ask(request));
    const Json* data = models.find("data");
    const bool any = data != nullptr && data->is_array() && !data->as_array().empty();
    const Json* id = any ? data->as_array()[0].find("id") : nullptr;
    if (id == nullptr || !id->is_string()) {
      return error(Code::kNotFound, "{}/v1/models lists no model; name one with --model",
                   options.base_url);
    }
    out.model = id->as_string();
  }
  LoadRandom random(options.seed);
  const std::string few = make_words(random, kShortWords), many = make_words(random, kLongWords);
  int64_t low = tokens_by_route(options, out.model, few);
  int64_t high = tokens_by_route(options, out.model, many);
  if (low <= 0 || high <= low) {
    YQ_TRY(low, tokens_by_usage(options, out.model, few));
    YQ_TRY(high, tokens_by_usage(options, out.model, many));
  }
  out.tokens_per_word = std::max(
      0.25, static_cast<double>(high - low) / static_cast<double>(kLongWords - kShortWords));
  return out;
}

Result<std::vector<LoadRecord>> run_load(const LoadOptions& options, const Calibration& server,
                                         const std::function<bool()>& keep_going) {
  YQ_TRY(std::unique_ptr<ClientGroup> group,
         ClientGroup::create(static_cast<int>(options.concurrency)));
  LoadRun run(options, server, std::move(group));
  return run.run(keep_going);
}

}  // namespace yunqi
