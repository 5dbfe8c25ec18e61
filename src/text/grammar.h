// Grammars that bind a model's output: JSON Schema, any JSON, regular expressions, choices, EBNF
// and tags inside free text, compiled once and run as token masks. A compiler and what it compiled
// may be shared by threads; a matcher belongs to one sequence.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/grammar_program.h"
#include "text/token_mask.h"

namespace yunqi {

inline constexpr size_t kMaxGrammarBytes = size_t{256} << 10;  // of a schema, EBNF or choice list
inline constexpr size_t kMaxGrammarChoices = 4096;
inline constexpr size_t kMaxGrammarTags = 128;
inline constexpr uint32_t kMaxGrammarDepth = 100;  // nesting inside EBNF; tags inside tags: 4
inline constexpr size_t kMaxCachedGrammars = 256;  // of one compiler
inline constexpr size_t kMaxRollbackTokens = 64;

// White space between JSON's tokens. kFlexible allows one space, or a line break and up to
// kMaxIndent spaces or tabs, after { [ , : and before } ]. Nothing else ever: a model can't loop.
enum class JsonSpace : uint8_t { kCompact, kFlexible };
inline constexpr uint32_t kMaxIndent = 64;

struct GrammarTag;

struct GrammarSpec {
  enum class Kind : uint8_t {
    kJsonObject,  // any JSON object
    kJsonSchema,  // a value of `schema`
    kRegex,       // exactly `text`, anchored at both ends
    kChoice,      // one of `choices`
    kEbnf,        // GBNF rules in `text`; the rule "root" is the whole
    kTags,        // free text with `tags` in it
  };
  Kind kind = Kind::kJsonObject;
  Json schema;
  std::string text;
  std::vector<std::string> choices;

  // JSON.
  JsonSpace space = JsonSpace::kFlexible;
  bool assert_formats = true;  // false: `format` is an annotation, as the standard's default is
  // Schemas that $ref may name, by absolute URI. Nothing is ever fetched.
  std::vector<std::pair<std::string, Json>> documents;

  // kTags: text runs freely until one of the tags' triggers; then exactly that tag follows.
  std::vector<GrammarTag> tags;
  bool free_text = true;  // false: tags only, separated by `separator`
  std::string separator;
  uint32_t min_tags = 0;  // 0 or 1
  bool many_tags = true;  // false: the output ends with the first tag
};

struct GrammarTag {
  std::string begin;    // "<tool_call>\n{\"name\": \"f\", \"arguments\": "
  std::string trigger;  // a prefix of begin that no free text may hold; "" means all of begin
  GrammarSpec content;
  std::string end;  // "}\n</tool_call>"
};

// Immutable; shared by matchers on any thread.
class CompiledGrammar {
 public:
  CompiledGrammar(std::shared_ptr<const GrammarVocabulary> vocabulary, GrammarProgram program)
      : vocabulary_(std::move(vocabulary)), program_(std::move(program)) {}
  const GrammarVocabulary& vocabulary() const { return *vocabulary_; }
  const GrammarProgram& program() const { return program_; }

 private:
  std::shared_ptr<const GrammarVocabulary> vocabulary_;
  GrammarProgram program_;
};

class LeafFactory;

// Thread-safe. Keeps the latest kMaxCachedGrammars results by the text of their spec.
class GrammarCompiler {
 public:
  explicit GrammarCompiler(std::shared_ptr<const GrammarVocabulary> vocabulary);
  ~GrammarCompiler();
  // kInvalidArgument: malformed, over a limit, or nothing can satisfy it; kUnsupported: valid but
  // beyond this engine. Errors name the keyword and, in field(), its JSON path in the schema.
  Result<std::shared_ptr<const CompiledGrammar>> compile(const GrammarSpec& spec);
  const std::shared_ptr<const GrammarVocabulary>& vocabulary() const { return vocabulary_; }

 private:
  using Cached = std::pair<std::string, std::shared_ptr<const CompiledGrammar>>;
  std::shared_ptr<const GrammarVocabulary> vocabulary_;
  std::shared_ptr<LeafFactory> leaves_;
  std::mutex mutex_;
  std::list<Cached> recent_;  // newest first
  std::unordered_map<std::string, std::list<Cached>::iterator> by_key_;
};

// Where one output stands in a grammar. Copies are independent (drafts, choices).
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar);

  // False when the token may not come; then nothing changed. A stop id is accepted when complete
  // and ends the output.
  bool accept(TokenId id);
  // The same for plain bytes (one step for rollback()).
  bool accept_bytes(std::string_view bytes);
  // `mask` gets the vocabulary's size. Never empty while the output has not ended.
  void fill_mask(TokenMask& mask);
  // Whether the output may end here.
  bool is_complete() const { return state_.complete; }
  // Whether it must: complete and no byte may follow.
  bool is_finished() const { return ended_ || (state_.complete && state_.threads.empty()); }
  // The bytes that must come next, whatever the model says; at most `most`, often none.
  std::string forced_bytes(size_t most);
  // Takes back the last `steps` accepted tokens; false when more than are remembered
  // (kMaxRollbackTokens).
  bool rollback(size_t steps);
  void reset();
  const CompiledGrammar& grammar() const { return *grammar_; }

 private:
  friend class GrammarRun;
  friend class MaskMaker;
  static constexpr uint32_t kNone = UINT32_MAX;
  // One way to read the output so far: a leaf's state on top of a stack of frames.
  struct Thread {
    uint32_t leaf = 0, state = 0, frame = kNone;
    uint32_t reg = 0;  // kCounted: characters; kKey: where the key starts, then its entry
  };
  struct State {
    std::vector<Thread> threads;
    bool complete = false;
  };
  enum class FrameKind : uint8_t { kRule, kArray, kObject };
  enum class Phase : uint8_t { kOpen, kComma, kKey, kValue, kClose };
  struct Frame {
    uint32_t parent = kNone;
    uint32_t node = 0;    // rule or shape
    uint32_t choice = 0;  // kRule: state to go on at; shapes: key, or option
    uint32_t option = 0;
    uint32_t data = 0;  // shapes: in words_
    uint16_t nesting = 0;
    FrameKind kind = FrameKind::kRule;
    Phase phase = Phase::kOpen;
  };
  struct UsedKey {
    uint32_t start = 0, length = 0, before = kNone;
  };
  struct Marks {
    size_t frames = 0, words = 0, used = 0, history = 0;
  };
  struct Snapshot {
    State state;
    Marks marks;
    bool ended = false;
  };

  Marks marks() const { return {frames_.size(), words_.size(), used_.size(), history_.size()}; }
  void cut(const Marks& marks);
  void remember(Snapshot before);

  std::shared_ptr<const CompiledGrammar> grammar_;
  State state_;
  bool ended_ = false;
  std::vector<Frame> frames_;
  std::vector<uint64_t> words_;  // of frames: used keys' list, used bits, counters
  std::vector<UsedKey> used_;
  std::string history_;  // all bytes so far
  std::vector<Snapshot> snapshots_;
};

}  // namespace yunqi
