// See loaded_model.h.
#include "runtime/loaded_model.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <random>
#include <utility>

#include "engine/model_executor.h"
#include "model/model.h"
#include "runtime/answer_grammar.h"
#include "runtime/fingerprint.h"
#include "runtime/generation.h"
#include "runtime/output_plan.h"
#include "runtime/prompt.h"
#include "runtime/receipt.h"

namespace yunqi {
namespace {

constexpr int64_t kDefaultContext = 32768;
constexpr size_t kMaxEosIds = 16;

uint64_t draw_seed() {
  // 53 bits, so that JSON readers that keep numbers as doubles can send it back.
  std::random_device device;
  const uint64_t high = device();
  const uint64_t low = device();
  return ((high << 32) | low) & ((uint64_t{1} << 53) - 1);
}

Status read_number(const Json& config, const char* key, double low, double high, double& out) {
  const Json* value = config.find(key);
  if (value == nullptr || value->is_null()) return Status::ok();
  if (!value->is_number() || !(value->as_double() >= low && value->as_double() <= high)) {
    return error(Code::kBadFile, "generation_config: want {} from {} to {}, found {}", key, low,
                 high, value->dump());
  }
  out = value->as_double();
  return Status::ok();
}

Status read_eos(const Json& config, std::vector<TokenId>& out) {
  const Json* value = config.find("eos_token_id");
  if (value == nullptr || value->is_null()) return Status::ok();
  const JsonArray one = value->is_array() ? value->as_array() : JsonArray{*value};
  if (one.size() > kMaxEosIds) {
    return error(Code::kBadFile, "generation_config: want at most {} eos_token_id, found {}",
                 kMaxEosIds, one.size());
  }
  for (const Json& id : one) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > INT32_MAX) {
      return error(Code::kBadFile, "generation_config: want token ids in eos_token_id, found {}",
                   value->dump());
    }
    out.push_back(static_cast<TokenId>(id.as_int()));
  }
  return Status::ok();
}

std::string fingerprint_of(const LoadedModel::Parts& parts, const Checkpoint& checkpoint,
                           const Device& device, const Numerics& numerics) {
  FingerprintParts out;
  out.build = build_name();
  out.kernels = device.numerics_id();
  out.checkpoint = checkpoint.fingerprint();
  out.config = checkpoint.config().dump();
  out.tokenizer = parts.tokenizer->fingerprint();
  if (parts.chat_template) out.chat_template = parts.chat_template->source();
  out.packing = fmt::format("activations {}", static_cast<int>(numerics.activations));
  out.kv = fmt::format("kv {}", static_cast<int>(numerics.kv));
  out.sampler = kSamplerVersion;
  return system_fingerprint(out);
}

uint64_t tensor_bytes(const Checkpoint& checkpoint) {
  uint64_t bytes = 0;
  for (const Tensor& tensor : checkpoint.tensors()) bytes += tensor.bytes.size();
  return bytes;
}

// One page of keys and values over all layers, at the executor's default page size.
uint64_t kv_bytes_per_page(const Model& model, const Device& device, KvFormat format) {
  uint64_t bytes = 0;
  for (const LayerState& state : model.state_spec()) {
    if (const auto* paged = std::get_if<PagedKv>(&state); paged != nullptr) {
      bytes += device.kv_page_bytes(
          {paged->kv_heads, paged->head_dim, ModelExecutorOptions().page_tokens, format});
    }
  }
  return bytes;
}

// For schedulers in front of several servers, which know vLLM's name of it.
void show_cache_layout(const ExecutorLimits& limits, const std::string& id,
                       MetricsRegistry& metrics) {
  const MetricLabels labels = {{"model_name", id},
                               {"block_size", fmt::format("{}", limits.page_tokens)},
                               {"num_gpu_blocks", fmt::format("{}", limits.pages)}};
  metrics.gauge("yunqi_cache_config_info", "Layout of the KV cache, in labels.", labels).set(1);
  metrics.alias("yunqi_cache_config_info", "vllm:cache_config_info");
}

// The seed's share of choice k needs no own seed: the sampler counts by (choice, position).
EngineRequest engine_request(const GenerateRequest& request, const GenerationDefaults& defaults,
                             int64_t max_tokens, uint64_t seed) {
  EngineRequest out;
  SamplingParams& s = out.sampling;
  s.temperature = static_cast<float>(request.temperature.value_or(defaults.temperature));
  s.top_p = static_cast<float>(request.top_p.value_or(defaults.top_p));
  s.min_p = static_cast<float>(request.min_p.value_or(defaults.min_p));
  s.top_k = static_cast<int32_t>(
      std::min<int64_t>(std::max<int64_t>(request.top_k.value_or(defaults.top_k), 0), INT32_MAX));
  s.repetition_penalty =
      static_cast<float>(request.repetition_penalty.value_or(defaults.repetition_penalty));
  s.presence_penalty = static_cast<float>(request.presence_penalty.value_or(0.0));
  s.frequency_penalty = static_cast<float>(request.frequency_penalty.value_or(0.0));
  s.logit_bias = request.logit_bias;
  s.seed = seed;
  out.max_tokens = max_tokens;
  out.stop_ids = request.stop_ids;
  if (!request.ignore_eos) {
    out.stop_ids.insert(out.stop_ids.end(), defaults.eos_ids.begin(), defaults.eos_ids.end());
  }
  out.top_logprobs = request.top_logprobs ? static_cast<int32_t>(*request.top_logprobs) : -1;
  out.prompt_logprobs = request.echo && request.top_logprobs.has_value();
  out.flow.id = request.flow;
  return out;
}

}  // namespace

Result<Tokenizer> make_tokenizer(const Checkpoint& checkpoint) {
  const TokenizerFiles& files = checkpoint.tokenizer();
  if (!files.tokenizer_json.empty()) {
    YQ_TRY(TokenizerSpec spec, parse_tokenizer_json(files.tokenizer_json));
    return Tokenizer::create(std::move(spec));
  }
  if (!files.vocab_json.empty()) {
    YQ_TRY(TokenizerSpec spec,
           parse_vocab_and_merges(files.vocab_json, files.merges_txt, files.tokenizer_config_json));
    return Tokenizer::create(std::move(spec));
  }
  if (!files.gguf_tokens.empty()) {
    YQ_TRY(TokenizerSpec spec,
           spec_from_gguf(files.gguf_tokens, files.gguf_types, files.gguf_merges, files.gguf_pre));
    return Tokenizer::create(std::move(spec));
  }
  return error(Code::kBadFile,
               "{}: no tokenizer found; want tokenizer.json, vocab.json with merges.txt, or a GGUF "
               "with tokenizer.ggml.tokens",
               checkpoint.files().empty() ? "checkpoint" : checkpoint.files()[0].string());
}

Result<GenerationDefaults> make_defaults(const Checkpoint& checkpoint) {
  const Json& config = checkpoint.generation_config();
  GenerationDefaults out;
  double top_k = 0;
  YQ_RETURN_IF_ERROR(read_number(config, "temperature", 0, 100, out.temperature));
  YQ_RETURN_IF_ERROR(read_number(config, "top_p", 0, 1, out.top_p));
  YQ_RETURN_IF_ERROR(read_number(config, "min_p", 0, 1, out.min_p));
  YQ_RETURN_IF_ERROR(read_number(config, "top_k", 0, 1e9, top_k));
  YQ_RETURN_IF_ERROR(read_number(config, "repetition_penalty", 0.01, 10, out.repetition_penalty));
  out.top_k = static_cast<int64_t>(top_k);
  const Json* do_sample = config.find("do_sample");
  if (do_sample != nullptr && do_sample->is_bool() && !do_sample->as_bool()) out.temperature = 0;
  YQ_RETURN_IF_ERROR(read_eos(config, out.eos_ids));
  return out;
}

LoadedModel::LoadedModel(Parts parts) : parts_(std::move(parts)) {}

Result<std::shared_ptr<LoadedModel>> LoadedModel::load(const Path& path, std::string id,
                                                       Device& device,
                                                       const RuntimeOptions& options,
                                                       const Clock& clock,
                                                       MetricsRegistry* metrics) {
  Parts parts;
  parts.id = std::move(id);
  YQ_TRY(parts.checkpoint, Checkpoint::open(path));
  const Checkpoint& checkpoint = *parts.checkpoint;
  // The tokenizer's tables are made while the weights are packed.
  std::future<Result<Tokenizer>> tokenizer =
      std::async(std::launch::async, make_tokenizer, std::cref(checkpoint));
  YQ_TRY(parts.defaults, make_defaults(checkpoint));
  if (!checkpoint.chat_template().empty()) {
    Result<ChatTemplate> parsed = ChatTemplate::parse(checkpoint.chat_template());
    if (parsed.is_ok()) {
      parts.chat_template = std::make_unique<ChatTemplate>(std::move(parsed).value());
    } else {
      parts.template_error = parsed.status().message();
    }
  }

  LoadOptions load{.numerics = options.numerics, .max_rows = options.max_rows};
  load.max_context = options.context;
  if (load.max_context == 0) {
    const Json* positions = checkpoint.config().find("max_position_embeddings");
    const int64_t native =
        positions != nullptr && positions->is_int() ? positions->as_int() : kDefaultContext;
    load.max_context = std::min(native, kDefaultContext);
  }
  LoadProgress unseen;
  LoadProgress& progress = options.progress != nullptr ? *options.progress : unseen;
  progress.begin(tensor_bytes(checkpoint));
  const std::unique_ptr<Device> counting = count_prepared(device, progress);
  YQ_TRY(std::unique_ptr<Model> model, load_model(checkpoint, *counting, load));
  const ModelInfo info = model->info();
  const uint64_t page_bytes = kv_bytes_per_page(*model, device, options.numerics.kv);
  YQ_TRY(Tokenizer made, tokenizer.get());
  parts.tokenizer = std::make_unique<Tokenizer>(std::move(made));
  parts.vocabulary = std::min(parts.tokenizer->size(), info.vocab_rows);
  parts.max_context = info.max_context;
  parts.architecture = info.architecture;
  parts.parameters = info.parameters;
  parts.weight_bytes = info.weight_bytes;
  parts.created = clock.unix_seconds();
  parts.fingerprint = fingerprint_of(parts, checkpoint, device, options.numerics);

  ModelExecutorOptions executor_options{.load = load};
  executor_options.max_logit_rows = std::max(64, options.engine.max_sequences);
  executor_options.kv_bytes = options.kv_bytes;
  YQ_TRY(std::unique_ptr<Executor> executor,
         make_model_executor(std::move(model), device, executor_options));
  parts.kv_bytes = page_bytes * static_cast<uint64_t>(executor->limits().pages);
  if (metrics != nullptr) show_cache_layout(executor->limits(), parts.id, *metrics);
  EngineOptions engine_options = options.engine;
  engine_options.vocabulary = parts.vocabulary;
  engine_options.model_name = parts.id;
  engine_options.cache_identity = parts.fingerprint;
  parts.engine = Engine::create(std::move(executor), engine_options, clock, metrics);
  return std::make_shared<LoadedModel>(std::move(parts));
}

Result<std::shared_ptr<const CompiledGrammar>> LoadedModel::compile_grammar(
    const GenerateRequest& request) const {
  const ToolFormat tool_format = parts_.chat_template == nullptr
                                     ? ToolFormat::kNone
                                     : detect_tool_format(parts_.chat_template->source());
  YQ_TRY(const std::optional<GrammarSpec> spec, answer_grammar(request, tool_format));
  if (!spec.has_value()) return std::shared_ptr<const CompiledGrammar>();
  GrammarCompiler* compiler = nullptr;
  {
    std::lock_guard lock(grammar_mutex_);
    if (grammar_compiler_ == nullptr) {
      YQ_TRY(std::shared_ptr<const GrammarVocabulary> vocabulary,
             GrammarVocabulary::create(*parts_.tokenizer, parts_.defaults.eos_ids));
      grammar_compiler_ = std::make_unique<GrammarCompiler>(std::move(vocabulary));
    }
    compiler = grammar_compiler_.get();
  }
  Result<std::shared_ptr<const CompiledGrammar>> compiled = compiler->compile(*spec);
  if (compiled.is_ok()) return compiled;
  const Status& status = compiled.status();
  std::string field = request.grammar.has_value() ? request.grammar_field : "tools";
  if (!status.field().empty()) field += (status.field()[0] == '[' ? "" : ".") + status.field();
  return status.at(std::move(field));
}

Result<ThinkingReport> LoadedModel::resolve(GenerateRequest& request) const {
  const ChatTemplate* chat_template = parts_.chat_template.get();
  return resolve_thinking(request, thinking_ability(chat_template),
                          chat_template != nullptr && chat_template->mentions("reasoning_effort"));
}

Result<std::string> LoadedModel::render(const GenerateRequest& request) const {
  if (parts_.chat_template == nullptr) {
    return error(Code::kUnsupported,
                 "model {} has no usable chat template{}{}; use /v1/completions", parts_.id,
                 parts_.template_error.empty() ? "" : ": ", parts_.template_error)
        .at("messages");
  }
  YQ_RETURN_IF_ERROR(validate(request, {parts_.max_context, parts_.vocabulary}));
  GenerateRequest resolved = request;
  YQ_RETURN_IF_ERROR(resolve(resolved).status());
  YQ_TRY(Json variables, template_variables(resolved));
  Result<std::string> text = parts_.chat_template->render(variables);
  if (!text.is_ok() && wrap_text_arguments(variables)) {
    text = parts_.chat_template->render(variables);
  }
  if (!text.is_ok()) return text.status().with_context("chat template").at("messages");
  return text;
}

Result<std::vector<TokenId>> LoadedModel::prompt_ids(const GenerateRequest& request) const {
  YQ_RETURN_IF_ERROR(validate(request, {parts_.max_context, parts_.vocabulary}));
  switch (request.prompt) {
    case GenerateRequest::Prompt::kTokens:
      return request.tokens;
    case GenerateRequest::Prompt::kText:
      if (request.suffix.has_value()) {
        return encode_infill(*parts_.tokenizer, request.text, *request.suffix);
      }
      // A raw prompt is the caller's own: it may name control tokens.
      return parts_.tokenizer->encode(request.text, {.allow_added_tokens = true});
    case GenerateRequest::Prompt::kChat:
      break;
  }
  if (parts_.chat_template == nullptr) return render(request).status();
  GenerateRequest resolved = request;
  YQ_RETURN_IF_ERROR(resolve(resolved).status());
  YQ_TRY(Json variables, template_variables(resolved));
  Result<std::vector<PromptPiece>> pieces = parts_.chat_template->render_pieces(variables);
  if (!pieces.is_ok() && wrap_text_arguments(variables)) {
    pieces = parts_.chat_template->render_pieces(variables);
  }
  if (!pieces.is_ok()) return pieces.status().with_context("chat template").at("messages");
  return encode_pieces(*parts_.tokenizer, *pieces);
}

Result<std::unique_ptr<Generation>> LoadedModel::start(const GenerateRequest& asked) const {
  GenerateRequest request = asked;
  ThinkingReport thinking;
  if (request.prompt == GenerateRequest::Prompt::kChat) {
    YQ_TRY(thinking, resolve(request));
  }
  YQ_TRY(std::vector<TokenId> prompt, prompt_ids(request));
  const char* prompt_field =
      request.prompt == GenerateRequest::Prompt::kChat ? "messages" : "prompt";
  if (prompt.empty()) {
    return error(Code::kInvalidArgument, "the prompt has no tokens").at(prompt_field);
  }
  const int64_t room = parts_.max_context - static_cast<int64_t>(prompt.size());
  if (room < 1) {
    return error(
               Code::kInvalidArgument,
               "the prompt has {} tokens, and the context of {} leaves no room to answer; shorten "
               "it or serve with a larger --context",
               prompt.size(), parts_.max_context)
        .at(prompt_field);
  }
  const bool score_only = request.echo && request.max_tokens == 0;
  YQ_TRY(std::shared_ptr<const CompiledGrammar> grammar, compile_grammar(request));
  YQ_TRY(const OutputPlan plan,
         OutputPlan::make(request,
                          {parts_.tokenizer.get(), parts_.chat_template.get(), parts_.vocabulary,
                           std::move(grammar)},
                          prompt, room));
  const int64_t max_tokens = score_only ? 1 : plan.max_tokens();
  const uint64_t seed = request.seed ? static_cast<uint64_t>(*request.seed) : draw_seed();

  std::optional<Receipt> receipt;
  std::vector<StreamGeneration::Choice> choices;
  for (int64_t i = 0; i < request.choices; ++i) {
    EngineRequest job = engine_request(request, parts_.defaults, max_tokens, seed);
    job.prompt = prompt;
    job.choice = static_cast<int32_t>(i);
    if (request.suffix.has_value() && !request.ignore_eos) {
      const std::vector<TokenId> more = infill_stop_ids(*parts_.tokenizer);
      job.stop_ids.insert(job.stop_ids.end(), more.begin(), more.end());
    }
    if (request.want_receipt && !receipt.has_value()) {
      receipt = Receipt{parts_.fingerprint, parts_.id, seed, sampling_json(job, request.stop), {}};
    }
    auto notes = std::make_shared<OutputNotes>();
    if (!score_only) job.guard = plan.guard(notes, job.stop_ids);
    Result<std::shared_ptr<TokenStream>> stream = parts_.engine->submit(std::move(job));
    if (!stream.is_ok()) {
      for (auto& choice : choices) choice.stream->cancel();
      return stream.status();
    }
    choices.push_back({std::move(stream).value(), OutputSession(*parts_.tokenizer, plan.session()),
                       std::move(notes)});
  }
  StreamGeneration::Options options;
  options.want_tokens = request.top_logprobs.has_value() || request.want_token_ids;
  options.hide_output = score_only;
  options.seed = seed;
  options.thinking = std::move(thinking);
  options.control = plan.control();
  options.receipt = std::move(receipt);
  options.owner = weak_from_this().lock();
  return std::unique_ptr<Generation>(std::make_unique<StreamGeneration>(
      *parts_.tokenizer, std::move(prompt), std::move(choices), std::move(options)));
}

}  // namespace yunqi
