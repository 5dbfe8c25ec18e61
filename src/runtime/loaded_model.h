// A model ready to answer: engine, tokenizer, template, defaults, fingerprint. Immutable after
// load but for the engine behind it; thread-safe. start() is where a request enters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "ops/device.h"
#include "runtime/generate_request.h"
#include "runtime/load_progress.h"
#include "runtime/output_session.h"
#include "runtime/thinking.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace yunqi {

// generation_config.json as defaults; unset fields are the neutral values.
struct GenerationDefaults {
  double temperature = 1.0, top_p = 1.0, min_p = 0.0, repetition_penalty = 1.0;
  int64_t top_k = 0;
  std::vector<TokenId> eos_ids;
};

struct RuntimeOptions {
  Numerics numerics;
  int64_t context = 0;  // tokens a sequence may have; 0: the checkpoint's, at most 32768
  uint64_t kv_bytes = 0;
  EngineOptions engine;
  int32_t max_rows = 512;
  std::shared_ptr<LoadProgress> progress = {};  // told how far the load is; may be null
};

struct Receipt;
struct ThinkingControl;

// A token with its text, for logprobs.
struct TokenText {
  TokenId id = 0;
  std::string bytes;
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top;
};

struct Usage {
  int64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0, reasoning_tokens = 0;
};

struct Timings {
  int64_t queue_ns = 0, prefill_ns = 0, decode_ns = 0;
};

struct OutputEvent {
  enum class Kind { kDelta, kFinished };
  Kind kind = Kind::kDelta;
  int32_t choice = 0;
  TextDelta delta;                // may be empty with tokens set (held back text)
  std::vector<TokenText> tokens;  // the tokens of this event, when logprobs or ids are wanted
  bool prompt = false;            // echo: the tokens are the prompt's
  FinishReason finish = FinishReason::kNone;  // kFinished
  std::string stop;                           // kFinished: the stop string, or ""
  TokenId stop_id = -1;
  int32_t complete_calls = 0;   // kFinished: tool calls that can be made
  std::string detail;           // kFinished: what ended it when that was a limit of ours, or ""
  std::string thinking_closed;  // kFinished: why the thinking was closed by force, or ""
  Status error;                 // kFinished with kError
};

// A running request: all its choices' events in one queue. Destroying it cancels what still runs.
// One reader thread at a time.
class Generation {
 public:
  virtual ~Generation() = default;
  // nullopt: nothing ready (try_next), or all choices finished (next).
  virtual std::optional<OutputEvent> try_next() = 0;
  virtual std::optional<OutputEvent> next() = 0;
  virtual bool finished() const = 0;
  virtual void set_listener(std::function<void()> listener) = 0;
  virtual void cancel() = 0;

  virtual const Usage& usage() const = 0;  // complete when finished
  virtual const Timings& timings() const = 0;
  virtual uint64_t seed() const = 0;
  // Complete when finished; empty unless the request wants one.
  virtual const Receipt& receipt() const = 0;
  virtual const std::vector<TokenId>& prompt() const = 0;
  // What was decided about thinking, and the handle that ends it in a running request.
  virtual const ThinkingReport& thinking() const = 0;
  virtual std::shared_ptr<ThinkingControl> thinking_control() const = 0;
};

class LoadedModel : public std::enable_shared_from_this<LoadedModel> {
 public:
  // The parts, for load() and for tests with a scripted engine. Order matters: the engine (which
  // uses the device) is destroyed first.
  struct Parts {
    std::string id;                          // the name clients use
    std::unique_ptr<Checkpoint> checkpoint;  // may be null in tests
    std::unique_ptr<Tokenizer> tokenizer;
    std::unique_ptr<ChatTemplate> chat_template;  // null: the checkpoint has none
    std::string template_error;                   // why there is none, when it could not be parsed
    GenerationDefaults defaults;
    int32_t vocabulary = 0;
    int64_t max_context = 0;
    std::string fingerprint;
    std::string architecture;
    uint64_t parameters = 0, weight_bytes = 0, kv_bytes = 0;
    int64_t created = 0;  // unix seconds
    std::unique_ptr<Engine> engine;
  };
  explicit LoadedModel(Parts parts);

  // Opens, loads and starts a checkpoint. `device` must outlive it.
  static Result<std::shared_ptr<LoadedModel>> load(const Path& path, std::string id, Device& device,
                                                   const RuntimeOptions& options,
                                                   const Clock& clock, MetricsRegistry* metrics);

  // Validates, renders, tokenises and queues. Errors carry the field at fault.
  Result<std::unique_ptr<Generation>> start(const GenerateRequest& request) const;

  // Validates, and gives the prompt's ids without running anything (tokenize, input counts).
  Result<std::vector<TokenId>> prompt_ids(const GenerateRequest& request) const;
  // The template's text for a chat request. Validates too.
  Result<std::string> render(const GenerateRequest& request) const;

  const std::string& id() const { return parts_.id; }
  const Tokenizer& tokenizer() const { return *parts_.tokenizer; }
  const Parts& parts() const { return parts_; }
  Engine& engine() const { return *parts_.engine; }

 private:
  // The grammar of the answer, or null. Cached per model.
  Result<std::shared_ptr<const CompiledGrammar>> compile_grammar(
      const GenerateRequest& request) const;
  // Settles the thinking of a chat request, before anything is rendered.
  Result<ThinkingReport> resolve(GenerateRequest& request) const;

  Parts parts_;
  mutable std::mutex grammar_mutex_;
  mutable std::unique_ptr<GrammarCompiler> grammar_compiler_;  // guarded by grammar_mutex_
};

// Builds a tokenizer from whatever form the checkpoint has it in.
Result<Tokenizer> make_tokenizer(const Checkpoint& checkpoint);

// The defaults of a checkpoint's generation_config. Errors name the key.
Result<GenerationDefaults> make_defaults(const Checkpoint& checkpoint);

}  // namespace yunqi
