// A compiled grammar as data: automata ("leaves") that read bytes, and the structures that say
// which leaf comes next: rules, JSON arrays and JSON objects. Immutable after compilation, but for
// the mask caches of leaves, which have their own locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/regex_automaton.h"
#include "text/token_mask.h"

namespace yunqi {

inline constexpr uint32_t kMaxGrammarRules = 20'000;  // rules of one program
inline constexpr uint32_t kMaxJsonNesting = 60;       // arrays and objects inside each other
inline constexpr size_t kMaxMaskCacheBytes = size_t{256} << 20;  // of one compiler's leaves

// Local masks by automaton state, filled as they are asked for. Thread-safe.
class LeafMasks {
 public:
  explicit LeafMasks(std::shared_ptr<std::atomic<size_t>> budget) : used_(std::move(budget)) {}
  ~LeafMasks() { used_->fetch_sub(own_bytes_); }
  LeafMasks(const LeafMasks&) = delete;
  LeafMasks& operator=(const LeafMasks&) = delete;
  std::shared_ptr<const LocalMask> find(uint32_t state);
  // Kept only while the compiler's budget lasts.
  void keep(uint32_t state, const std::shared_ptr<const LocalMask>& mask);

 private:
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<const LocalMask>> masks_;
  std::shared_ptr<std::atomic<size_t>> used_;
  size_t own_bytes_ = 0;
};

struct GrammarLeaf {
  enum class Kind : uint8_t {
    kPlain,    // the automaton and nothing else
    kCounted,  // a JSON string of min to max characters
    kKey,      // an object key, or a string item, that must differ from the others
  };
  Kind kind = Kind::kPlain;
  bool takes_added = false;  // literals and free text: added tokens may stand for their text
  bool open_end = false;     // free text: the whole output may end here in any state
  Dfa dfa;
  // What can come after the leaf, when that is known: spares rests of tokens that can't.
  std::shared_ptr<const Dfa> follow;
  uint32_t quoted = 0;                          // kKey: the state after the closing quote
  uint32_t min = 0, max = 0;                    // kCounted
  std::shared_ptr<const CountedString> string;  // kCounted, instead of dfa
  std::shared_ptr<const StringTables> tables;   // kCounted
  // By state: whether it accepts, whether any byte leads on.
  std::vector<uint8_t> accepts, continues;
  std::vector<uint8_t> past_key;  // kKey: whether the closing quote has been read
  std::shared_ptr<LeafMasks> masks;

  const Dfa& automaton() const { return string ? string->dfa : dfa; }
};

struct GrammarEdge {
  enum class Kind : uint8_t { kLeaf, kRule, kArray, kObject };
  Kind kind = Kind::kLeaf;
  uint32_t index = 0;
  uint32_t to = 0;       // state of the same rule
  uint32_t nesting = 0;  // kArray, kObject: the least nesting that a value needs
};

struct GrammarState {
  std::vector<GrammarEdge> edges;
  bool accepts = false;
};

// A network of states; 0 is the start.
struct GrammarRule {
  std::vector<GrammarState> states;
};

// One way to fill an array item or a member: values of `rule`, which count for these counters.
struct ShapeOption {
  uint32_t rule = 0;
  uint32_t nesting = 0;
  bool is_unique = false;  // arrays: a string that differs from the other items (kKey leaf)
  std::vector<uint32_t> bumps;
};

struct CounterBounds {
  uint32_t low = 0;
  uint32_t high = UINT32_MAX;
};

struct ArrayShape {
  std::vector<std::vector<ShapeOption>> positions;  // the last one is for all later items too
  std::vector<CounterBounds> counters;
  uint32_t min_items = 0, max_items = UINT32_MAX;
};

struct ObjectShape {
  struct Key {
    std::string name;  // as written in JSON, without quotes
    uint32_t leaf = 0;
    std::vector<ShapeOption> options;
  };
  struct OpenKeys {  // endlessly many keys: those of the leaf but the named ones
    uint32_t leaf = 0;
    std::vector<ShapeOption> options;
  };
  std::vector<Key> keys;
  std::vector<OpenKeys> open;
  std::vector<uint64_t> required;  // bit k: key k must come
  std::vector<CounterBounds> counters;
};

// The punctuation of JSON with its white space.
struct JsonMarks {
  uint32_t array_open = 0, array_end = 0, array_close = 0;     // "[ ", "]", " ]"
  uint32_t object_open = 0, object_end = 0, object_close = 0;  // "{ ", "}", " }"
  uint32_t comma = 0;                                          // ", "
};

struct GrammarProgram {
  std::vector<std::shared_ptr<const GrammarLeaf>> leaves;
  std::vector<GrammarRule> rules;
  std::vector<ArrayShape> arrays;
  std::vector<ObjectShape> objects;
  JsonMarks marks;
  uint32_t root = 0;  // rule
};

}  // namespace yunqi
