// What watches an output on the engine's side: stop strings, the thinking's budget, the answer's
// own limit, endless repetition, forced tool calls. Each is an OutputRule; one TokenGuard runs them
// all. Everything here runs on the engine thread, but for the two structs of atomics.
//
// Composition: a token is allowed when every rule's mask allows it. The first rule that says stop
// ends the sequence, and rules behind it don't see the token. Forced tokens queue up: what one rule
// forces comes after what is still to come from another. Every rule sees forced tokens too.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "text/grammar.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace yunqi {

using OutputPhase = ThinkingSplitter::Phase;

// A client's word to a running request, for all its choices. Thread-safe.
struct ThinkingControl {
  std::atomic<bool> finish{false};  // close the thinking now
};

// What the rules did to one choice: written by the engine thread, read when it has finished.
struct OutputNotes {
  enum class Ended { kNo, kAnswerLimit, kRepetition };
  enum class Closed { kNo, kBudget, kRequest, kRepetition };
  std::atomic<Ended> ended{Ended::kNo};      // the sequence was ended by a limit of ours
  std::atomic<Closed> closed{Closed::kNo};   // the thinking was closed by force
  std::atomic<int64_t> thinking_tokens{-1};  // before the forced closing text; -1: none was forced
};

// A token as the rules see it.
struct GuardedToken {
  TokenId id = -1;
  OutputPhase before = OutputPhase::kAnswer, after = OutputPhase::kAnswer;
  std::string_view answer;   // answer bytes that became certain with it
  bool forced = false;       // by a rule
  bool forced_next = false;  // so is the next one
};

class OutputRule {
 public:
  virtual ~OutputRule() = default;
  // Tokens allowed next; empty allows all. Valid until accept().
  virtual std::span<const uint64_t> mask(OutputPhase) { return {}; }
  virtual GuardVerdict accept(const GuardedToken& token) = 0;
};

using OutputRules = std::vector<std::unique_ptr<OutputRule>>;

// `splitter` as the reader's parser has it. `tokenizer` must outlive the guard.
std::unique_ptr<TokenGuard> make_output_guard(const Tokenizer& tokenizer, ThinkingSplitter splitter,
                                              OutputRules rules);

// Bits for these ids, for masks.
std::vector<uint64_t> mask_of(std::span<const TokenId> ids, int32_t vocabulary);

// Ends the sequence at the token that completes a stop string in the answer.
std::unique_ptr<OutputRule> make_stop_rule(std::vector<std::string> stops);

// Closes the thinking after exactly `budget` tokens (-1: never), when `control` says so, or when
// `notes` asks for it: `closing` is forced token by token. With a budget the sequence can't end
// before its answer has begun. `vocabulary` is the model's.
struct ThinkingRuleOptions {
  int64_t budget = -1;
  std::vector<TokenId> closing = {};   // ends the thinking; at least one token
  std::vector<TokenId> stop_ids = {};  // that would end the sequence
  int32_t vocabulary = 0;
  std::shared_ptr<const ThinkingControl> control = {};
  std::shared_ptr<OutputNotes> notes = {};
};
std::unique_ptr<OutputRule> make_thinking_rule(ThinkingRuleOptions options);

// Ends the sequence after `limit` tokens of the answer; forced ones don't count.
std::unique_ptr<OutputRule> make_answer_limit_rule(int64_t limit,
                                                   std::shared_ptr<OutputNotes> notes);

// Finds output that repeats itself: the last tokens are one pattern of at most kMaxPeriod tokens,
// at least kMinRepeats times and for at least kMinTokens tokens. Constant work per token.
class LoopDetector {
 public:
  static constexpr size_t kMaxPeriod = 128;
  static constexpr size_t kMinRepeats = 8;
  static constexpr size_t kMinTokens = 384;
  LoopDetector();
  // True when this token makes the output an endless repetition.
  bool push(TokenId token);
  void reset();

 private:
  std::vector<TokenId> recent_;  // a ring of kMaxPeriod tokens
  size_t count_ = 0;
  std::vector<uint32_t> runs_;  // [period - 1]: tokens equal to the one `period` before them
};

// A repetition in the thinking closes it (through the thinking rule, which must come after this
// one and share `notes`); in the answer it ends the sequence.
std::unique_ptr<OutputRule> make_loop_rule(std::shared_ptr<OutputNotes> notes);

// A call that must be made (tool_choice required or named), and where the calls end.
struct CallRuleOptions {
  ToolFormat format = ToolFormat::kJson;
  std::vector<std::string> names = {};  // one of these must be called; empty: none has to be
  bool one_call = false;                // the sequence ends with the first call
  bool thinks_first = false;            // the model opens its thinking itself, and must
  bool may_think = false;               // it may
  int32_t vocabulary = 0;
  std::shared_ptr<const ToolSet> tools = {};
};
std::unique_ptr<OutputRule> make_call_rule(const Tokenizer& tokenizer, CallRuleOptions options);

// Binds the answer to a grammar; the thinking before it is free. The sequence ends where the
// grammar must, or by a stop id where it may.
struct GrammarRuleOptions {
  std::shared_ptr<const CompiledGrammar> grammar = {};
  bool thinks_first = false;  // as in CallRuleOptions
  bool may_think = false;
};
std::unique_ptr<OutputRule> make_grammar_rule(const Tokenizer& tokenizer,
                                              GrammarRuleOptions options);

}  // namespace yunqi
