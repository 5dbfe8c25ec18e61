// The running side of a request: one engine stream and one output session per choice, merged into
// one sequence of events. Owned by whoever called LoadedModel::start; one reader at a time.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/guards.h"
#include "runtime/loaded_model.h"
#include "runtime/receipt.h"

namespace yunqi {

class StreamGeneration final : public Generation {
 public:
  struct Choice {
    std::shared_ptr<TokenStream> stream;
    OutputSession session;
    std::shared_ptr<OutputNotes> notes;
    bool finished = false;
  };
  struct Options {
    bool want_tokens = false;  // events carry TokenText
    bool hide_output = false;  // scoring a prompt: the one sampled token is dropped
    uint64_t seed = 0;
    std::optional<Receipt> receipt;  // to be completed with the outputs; nullopt: not wanted
    ThinkingReport thinking;
    std::shared_ptr<ThinkingControl> control;
    // Keeps the model alive while its tokens are being read.
    std::shared_ptr<const void> owner;
  };

  StreamGeneration(const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                   std::vector<Choice> choices, Options options);
  ~StreamGeneration() override;

  std::optional<OutputEvent> try_next() override;
  std::optional<OutputEvent> next() override;
  bool finished() const override { return unfinished_ == 0; }
  void set_listener(std::function<void()> listener) override;
  void cancel() override;

  const Usage& usage() const override { return usage_; }
  const Timings& timings() const override { return timings_; }
  uint64_t seed() const override { return options_.seed; }
  const Receipt& receipt() const override { return receipt_; }
  const std::vector<TokenId>& prompt() const override { return prompt_; }
  const ThinkingReport& thinking() const override { return options_.thinking; }
  std::shared_ptr<ThinkingControl> thinking_control() const override { return options_.control; }

 private:
  // What the engine thread tells the reader; outlives this object through the streams' listeners.
  struct Signal {
    std::mutex mutex;
    std::condition_variable ready;
    uint64_t count = 0;              // guarded by mutex
    std::function<void()> listener;  // guarded by mutex
  };

  OutputEvent translate(int32_t index, TokenEvent event);
  OutputEvent finish(int32_t index, const TokenEvent& event);
  void write_receipt(int32_t index, const OutputEvent& event);
  TokenText text_of(const SampledToken& token) const;

  const Tokenizer& tokenizer_;
  std::vector<TokenId> prompt_;
  std::vector<Choice> choices_;
  Options options_;
  std::shared_ptr<Signal> signal_;
  size_t unfinished_ = 0;
  size_t turn_ = 0;  // the choice to look at first, so that none waits behind another
  Usage usage_;
  Timings timings_;
  Receipt receipt_;
  std::vector<std::unique_ptr<IdHash>> hashes_;  // per choice; empty without a receipt
};

}  // namespace yunqi
