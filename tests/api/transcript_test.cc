// Runs the transcripts of this folder through ApiService::handle, without sockets: a tiny
// tokenizer, a small template and a scripted engine stand for the model.
#include "tests/api/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <ostream>

#include "service/api_service.h"
#include "tests/api/scripted_engine.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {

static void PrintTo(const TranscriptCase& one, std::ostream* out) {
  *out << "tests/api/" << one.file << ".transcript:" << one.line;
}

namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking %}<think>\n{% endif %}{% endif %}";

// Templates that write tool calls, in each format.
std::string tool_template(const std::string& format) {
  if (format == "none") return "{% for m in messages %}{{ m.content }}\n{% endfor %}";
  const char* call =
      format == "json"
          ? "{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson "
            "}}}"
          : "<function={{ c.function.name }}>\n{% for k, v in c.function.arguments | items %}"
            "<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>";
  return std::string(
             "{% if tools %}tools {{ tools | length }}\n{% endif %}{% for m in messages %}") +
         "<|im_start|>{{ m.role }}\n{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}"
         "\n<tool_call>\n" +
         call +
         "\n</tool_call>{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
         "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking %}"
         "<think>\n{% endif %}";
}

std::vector<TranscriptCase> all_cases() {
  return read_transcripts(std::string(YUNQI_SOURCE_DIR) + "/tests/api").value();
}

Tokenizer coder_tokenizer() {
  TokenizerSpec spec = tiny_spec();
  TokenId next = 0;
  for (const AddedToken& token : spec.added) next = std::max(next, token.id + 1);
  for (const char* name : {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}) {
    if (spec.tokens.size() == static_cast<size_t>(next)) spec.tokens.emplace_back(name);
    spec.added.push_back({.id = next++, .text = name});
    spec.added.back().special = true;
  }
  return Tokenizer::create(std::move(spec)).value();
}

Status status_of(const Json* value) {
  if (value == nullptr) return Status::ok();
  if (value->as_string() == "full") return error(Code::kUnavailable, "the queue is full");
  return error(Code::kInternal, "{}", value->as_string());
}

EngineScript script_of(const Json& json, const Tokenizer& tokenizer) {
  EngineScript out;
  if (const Json* text = json.find("text"); text != nullptr) {
    out.tokens = tokenizer.encode(text->as_string(), {.allow_added_tokens = true});
  }
  if (const Json* ids = json.find("tokens"); ids != nullptr) {
    for (const Json& id : ids->as_array()) out.tokens.push_back(static_cast<int32_t>(id.as_int()));
  }
  if (const Json* finish = json.find("finish"); finish != nullptr) {
    if (finish->as_string() == "length") out.finish = FinishReason::kLength;
    if (finish->as_string() == "shutdown") out.finish = FinishReason::kShutdown;
  }
  out.stop_id = tokenizer.find("<|im_end|>");
  out.error = status_of(json.find("error"));
  if (!out.error.is_ok()) out.finish = FinishReason::kError;
  out.refuse = status_of(json.find("refuse"));
  out.hold = json.find("hold") != nullptr;
  if (const Json* cached = json.find("cached"); cached != nullptr) out.cached = cached->as_int();
  return out;
}

class Transcript : public testing::TestWithParam<TranscriptCase> {
 protected:
  void start_service(const TranscriptCase& one) {
    clock_.advance_ns(3'600'000'000'000);
    LoadedModel::Parts parts;
    parts.id = "tiny";
    parts.tokenizer = std::make_unique<Tokenizer>(
        one.server.find("coder") != nullptr ? coder_tokenizer() : tiny_tokenizer());
    if (one.server.find("no_template") == nullptr) {
      const Json* tools = one.server.find("tools");
      const std::string source = tools == nullptr ? kTemplate : tool_template(tools->as_string());
      parts.chat_template = std::make_unique<ChatTemplate>(ChatTemplate::parse(source).value());
    }
    parts.defaults.eos_ids = {parts.tokenizer->find("<|im_end|>")};
    parts.defaults.temperature = 0.75;
    parts.vocabulary = parts.tokenizer->size();
    const Json* context = one.server.find("context");
    parts.max_context = context == nullptr ? 128 : context->as_int();
    parts.fingerprint = "fp_test";
    parts.architecture = "qwen3";
    parts.created = 1'600'000'000;
    auto engine = std::make_unique<ScriptedEngine>(clock_);
    engine_ = engine.get();
    for (const Json& script : one.engine) engine->add(script_of(script, *parts.tokenizer));
    engine->set_busy(one.server.find("stuck") == nullptr);
    parts.engine = std::move(engine);
    model_ = std::make_shared<LoadedModel>(std::move(parts));
    ASSERT_TRUE(pool_.add(model_, {"gpt"}).is_ok());
    ApiOptions options;
    options.health_timeout_ms = 20;
    if (const Json* key = one.server.find("api_key"); key != nullptr) {
      options.api_keys = {"another", key->as_string()};
    }
    options.strict = one.server.find("strict") != nullptr;
    service_ = std::make_unique<ApiService>(options, pool_, metrics_, clock_);
    if (one.server.find("draining") != nullptr) service_->begin_drain();
  }

  // The whole response; a stream's body is read to its end, or once when the client hangs up.
  HttpResponse finish(HttpReply reply, bool hangup) {
    HttpResponse response;
    if (auto* deferred = std::get_if<std::unique_ptr<DeferredResponse>>(&reply)) {
      (*deferred)->set_wake([] {});
      std::optional<HttpResponse> polled = (*deferred)->poll();
      if (polled.has_value()) return std::move(*polled);
      EXPECT_TRUE(hangup) << "the response is not ready";
      return response;
    }
    response = std::move(std::get<HttpResponse>(reply));
    if (response.stream == nullptr) return response;
    response.stream->set_wake([] {});
    for (BodyStream::State state = BodyStream::State::kData; !hangup || response.body.empty();) {
      state = response.stream->read(response.body);
      if (state == BodyStream::State::kEnd) break;
      EXPECT_EQ(state, BodyStream::State::kData) << "the stream waits";
      if (state == BodyStream::State::kPending) break;
    }
    response.stream.reset();
    return response;
  }

  void check_events(const std::vector<std::string>& want, const std::string& body) {
    std::vector<std::string> found;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      ASSERT_NE(end, std::string::npos) << "an event without an end: " << body.substr(at);
      ASSERT_EQ(body.substr(at, 6), "data: ");
      found.push_back(body.substr(at + 6, end - at - 6));
      at = end + 2;
    }
    ASSERT_EQ(found.size(), want.size()) << body;
    for (size_t i = 0; i < want.size(); ++i) {
      if (want[i] == "[DONE]") {
        EXPECT_EQ(found[i], want[i]);
        continue;
      }
      const Json json = parse_json(found[i]).value();
      EXPECT_EQ(mismatch(parse_json(want[i]).value(), &json), "") << "event " << i << found[i];
    }
  }

  void run(const Exchange& exchange) {
    const HttpResponse response = finish(service_->handle(exchange.request), exchange.hangup);
    if (exchange.hangup) return;
    EXPECT_EQ(response.status, exchange.status) << response.body;
    for (const auto& header : exchange.headers) {
      EXPECT_NE(std::find(response.headers.begin(), response.headers.end(), header),
                response.headers.end())
          << header.first << ": " << header.second;
    }
    if (!exchange.data.empty()) check_events(exchange.data, response.body);
    if (!exchange.body.empty()) {
      const Result<Json> found = parse_json(response.body);
      ASSERT_TRUE(found.is_ok()) << response.body;
      EXPECT_EQ(mismatch(parse_json(exchange.body).value(), &*found), "") << response.body;
    }
    for (const std::string& text : exchange.contains) {
      EXPECT_NE(response.body.find(text), std::string::npos) << text << "\n" << response.body;
    }
  }

  VirtualClock clock_;
  MetricsRegistry metrics_;
  ModelPool pool_;
  std::shared_ptr<LoadedModel> model_;
  ScriptedEngine* engine_ = nullptr;
  std::unique_ptr<ApiService> service_;
};

TEST_P(Transcript, Holds) {
  const TranscriptCase& one = GetParam();
  ASSERT_NO_FATAL_FAILURE(start_service(one));
  ASSERT_FALSE(one.exchanges.empty());
  for (const Exchange& exchange : one.exchanges) run(exchange);
  if (one.asked.empty()) return;
  const std::vector<Json> asked = engine_->requests(model_->tokenizer());
  ASSERT_EQ(asked.size(), one.asked.size());
  for (size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(mismatch(one.asked[i], &asked[i]), "") << asked[i].dump();
  }
}

std::string case_name(const testing::TestParamInfo<TranscriptCase>& info) {
  std::string name = info.param.file + "_" + info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Api, Transcript, testing::ValuesIn(all_cases()), case_name);

TEST(Transcripts, ThereAreManyAndAMismatchIsSeen) {
  EXPECT_GE(all_cases().size(), 60u);
  const Json found = parse_json(R"({"a": [1, {"b": "xyz"}], "c": null})").value();
  const auto why = [&](const char* want) { return mismatch(parse_json(want).value(), &found); };
  EXPECT_EQ(why(R"({"a": [1.0, {"b": "~y"}], "c": null, "d": "<absent>"})"), "");
  EXPECT_NE(why(R"({"a": [1]})"), "");
  EXPECT_NE(why(R"({"a": [1, {"b": "~q"}]})"), "");
  EXPECT_NE(why(R"({"c": "<absent>"})"), "");
  EXPECT_NE(why(R"({"d": "<any>"})"), "");
  EXPECT_NE(why(R"({"c": false})"), "");
}

}  // namespace
}  // namespace yunqi
