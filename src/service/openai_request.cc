// See openai_request.h.
#include "service/openai_request.h"

#include <array>
#include <charconv>
#include <utility>

#include "service/openai_grammar.h"
#include "service/openai_tools.h"

namespace yunqi {
namespace {

// Accepted everywhere, without effect on the answer: bookkeeping of the client's own.
constexpr std::array kBookkeeping = {"user",         "metadata",          "store",
                                     "service_tier", "safety_identifier", "prompt_cache_key"};

void read_stop(Fields& fields, GenerateRequest& out, ReplyOptions& reply) {
  const Json* stop = fields.any("stop");
  if (stop == nullptr) return;
  if (stop->is_string()) {
    out.stop = {stop->as_string()};
    reply.field_names.emplace_back("stop[0]", "stop");
    return;
  }
  if (!stop->is_array()) {
    fields.fail(error(Code::kInvalidArgument, "want a string or a list of strings, found {}",
                      stop->type_name())
                    .at("stop"));
    return;
  }
  for (size_t i = 0; i < stop->as_array().size(); ++i) {
    const Json& item = stop->as_array()[i];
    if (!item.is_string()) {
      fields.fail(error(Code::kInvalidArgument, "want a string, found {}", item.type_name())
                      .at(fmt::format("stop[{}]", i)));
      return;
    }
    out.stop.push_back(item.as_string());
  }
}

// A list of token ids under `path`; range checks come with validate().
std::vector<TokenId> read_ids(Fields& fields, const Json& list, const std::string& path) {
  std::vector<TokenId> out;
  for (size_t i = 0; i < list.as_array().size(); ++i) {
    const Json& item = list.as_array()[i];
    if (!item.is_int() || item.as_int() < 0 || item.as_int() > INT32_MAX) {
      fields.fail(error(Code::kInvalidArgument, "want a token id, found {}", item.dump())
                      .at(fmt::format("{}[{}]", path, i)));
      return {};
    }
    out.push_back(static_cast<TokenId>(item.as_int()));
  }
  return out;
}

void read_logit_bias(Fields& fields, GenerateRequest& out) {
  const Json* bias = fields.object("logit_bias");
  if (bias == nullptr) return;
  for (const auto& [key, value] : bias->as_object()) {
    TokenId id = -1;
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (failed != std::errc() || end != key.data() + key.size() || !value.is_number()) {
      fields.fail(error(Code::kInvalidArgument, "want {{\"token id\": number}}, found \"{}\": {}",
                        key, value.dump())
                      .at("logit_bias"));
      return;
    }
    out.logit_bias.emplace_back(id, static_cast<float>(value.as_double()));
  }
}

void read_sampling(Fields& fields, GenerateRequest& out, ReplyOptions& reply) {
  out.temperature = fields.number("temperature");
  out.top_p = fields.number("top_p");
  out.min_p = fields.number("min_p");
  out.top_k = fields.integer("top_k");
  out.repetition_penalty = fields.number("repetition_penalty");
  out.presence_penalty = fields.number("presence_penalty");
  out.frequency_penalty = fields.number("frequency_penalty");
  out.seed = fields.integer("seed");
  out.max_tokens = fields.integer("max_tokens");
  out.choices = fields.integer("n").value_or(1);
  out.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  out.loop_guard = fields.boolean("loop_guard").value_or(true);
  out.include_stop = fields.boolean("include_stop_str_in_output").value_or(false);
  read_stop(fields, out, reply);
  if (const Json* ids = fields.array("stop_token_ids"); ids != nullptr) {
    out.stop_ids = read_ids(fields, *ids, "stop_token_ids");
  }
  read_logit_bias(fields, out);
  read_grammar(fields, out);
  fields.refuse("use_beam_search", "beam search is not supported; use n with a temperature");
}

void read_reply(Fields& fields, ReplyOptions& out) {
  out.model = fields.string("model").value_or("");
  out.stream = fields.boolean("stream").value_or(false);
  out.token_ids = fields.boolean("return_token_ids").value_or(false);
  out.receipt = fields.boolean("x_receipt").value_or(false);
  if (const Json* options = fields.object("stream_options"); options != nullptr) {
    Fields inner(*options, "stream_options");
    out.include_usage = inner.boolean("include_usage").value_or(false);
    inner.accept("include_obfuscation");
    fields.fail(inner.status());
    for (const std::string& name : inner.unread()) out.ignored.push_back(inner.path_of(name));
    if (!out.stream) {
      fields.fail(
          error(Code::kInvalidArgument, "is for \"stream\": true only").at("stream_options"));
    }
  }
  for (const char* name : kBookkeeping) fields.accept(name);
}

void read_chat_logprobs(Fields& fields, ChatRequest& out) {
  out.reply.logprobs = fields.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.integer("top_logprobs");
  if (top.has_value() && *top > 0 && !out.reply.logprobs) {
    fields.fail(error(Code::kInvalidArgument, "wants \"logprobs\": true too").at("top_logprobs"));
  }
  if (out.reply.logprobs) out.generate.top_logprobs = top.value_or(0);
}

// The four shapes of "prompt": text, ids, and lists of either.
std::vector<GenerateRequest> read_prompts(Fields& fields, const GenerateRequest& base,
                                          bool& is_list) {
  const Json* prompt = fields.any("prompt");
  if (prompt == nullptr) {
    fields.fail(error(Code::kInvalidArgument, "is missing").at("prompt"));
    return {};
  }
  const auto one_of = [&](const Json& item, const std::string& path) {
    GenerateRequest request = base;
    if (item.is_string()) {
      request.prompt = GenerateRequest::Prompt::kText;
      request.text = item.as_string();
    } else if (item.is_array()) {
      request.prompt = GenerateRequest::Prompt::kTokens;
      request.tokens = read_ids(fields, item, path);
    } else {
      fields.fail(error(Code::kInvalidArgument, "want a string or a list of token ids, found {}",
                        item.type_name())
                      .at(path));
    }
    return request;
  };
  is_list =
      prompt->is_array() && !prompt->as_array().empty() && !prompt->as_array().front().is_number();
  if (!is_list) return {one_of(*prompt, "prompt")};
  if (prompt->as_array().size() > kMaxPrompts) {
    fields.fail(error(Code::kInvalidArgument, "want at most {} prompts, found {}", kMaxPrompts,
                      prompt->as_array().size())
                    .at("prompt"));
    return {};
  }
  std::vector<GenerateRequest> out;
  for (size_t i = 0; i < prompt->as_array().size(); ++i) {
    out.push_back(one_of(prompt->as_array()[i], fmt::format("prompt[{}]", i)));
  }
  return out;
}

}  // namespace

Result<ChatRequest> parse_chat_request(const Json& body) {
  ChatRequest out;
  Fields fields(body);
  YQ_RETURN_IF_ERROR(fields.status());
  read_reply(fields, out.reply);
  read_sampling(fields, out.generate, out.reply);
  // OpenAI's newer limit counts everything; max_tokens beside a thinking budget is the answer's.
  out.generate.max_tokens_cover_thinking = false;
  if (const auto most = fields.integer("max_completion_tokens"); most.has_value()) {
    out.generate.max_tokens = most;
    out.generate.max_tokens_cover_thinking = true;
    out.reply.field_names.emplace_back("max_tokens", "max_completion_tokens");
  }
  const Json* messages = fields.array("messages");
  if (messages == nullptr) {
    fields.fail(error(Code::kInvalidArgument, "is missing").at("messages"));
  } else {
    out.generate.messages = *messages;
  }
  read_chat_logprobs(fields, out);
  read_tools(fields, out.generate);
  read_thinking(fields, out.generate);
  out.generate.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  fields.refuse("audio", "audio output is not supported");
  fields.refuse("prediction", "predicted output is not supported");
  fields.refuse("continue_final_message", "continuing a message is not supported yet");
  fields.accept("modalities");
  out.generate.want_token_ids = out.reply.token_ids;
  out.generate.want_receipt = out.reply.receipt;
  YQ_RETURN_IF_ERROR(fields.status());
  for (std::string& name : fields.unread()) out.reply.ignored.push_back(std::move(name));
  return out;
}

Result<CompletionRequest> parse_completion_request(const Json& body) {
  CompletionRequest out;
  Fields fields(body);
  YQ_RETURN_IF_ERROR(fields.status());
  read_reply(fields, out.reply);
  GenerateRequest base;
  read_sampling(fields, base, out.reply);
  // OpenAI's default for this route, kept by every server that clients were written against.
  if (!base.max_tokens.has_value()) base.max_tokens = 16;
  base.echo = fields.boolean("echo").value_or(false);
  base.suffix = fields.string("suffix");
  if (base.suffix.has_value() && base.echo) {
    fields.fail(error(Code::kInvalidArgument, "can't be used with suffix").at("echo"));
  }
  if (const auto logprobs = fields.integer("logprobs"); logprobs.has_value()) {
    out.reply.logprobs = true;
    base.top_logprobs = logprobs;
    out.reply.field_names.emplace_back("top_logprobs", "logprobs");
  }
  if (const auto best_of = fields.integer("best_of");
      best_of.has_value() && *best_of != base.choices) {
    fields.fail(
        error(Code::kUnsupported, "want the same as n ({}), found {}", base.choices, *best_of)
            .at("best_of"));
  }
  base.want_token_ids = out.reply.token_ids;
  base.want_receipt = out.reply.receipt;
  out.generate = read_prompts(fields, base, out.prompt_list);
  YQ_RETURN_IF_ERROR(fields.status());
  for (const GenerateRequest& request : out.generate) {
    if (request.suffix.has_value() && request.prompt != GenerateRequest::Prompt::kText) {
      return error(Code::kInvalidArgument, "wants a text prompt").at("suffix");
    }
  }
  for (std::string& name : fields.unread()) out.reply.ignored.push_back(std::move(name));
  return out;
}

Status in_request_words(const Status& status, const ReplyOptions& reply) {
  for (const auto& [ours, theirs] : reply.field_names) {
    if (status.field() == ours) return status.at(theirs);
  }
  return status;
}

}  // namespace yunqi
