// Makes the leaves of programs and shares those that many grammars have: strings, numbers,
// punctuation. One per compiler; thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/grammar.h"
#include "text/grammar_program.h"

namespace yunqi {

using LeafPtr = std::shared_ptr<const GrammarLeaf>;

// The automaton of the JSON string whose content `content` matches: quotes, and escapes where JSON
// needs them, each in its shortest form (and \/). `tail` is matched after the closing quote;
// `quoted` gets the state right after it.
Result<Dfa> json_string_dfa(const Dfa& content, const Dfa& tail, uint32_t* quoted);

// `text` as json_string_dfa spells it, without quotes.
std::string json_spelling(std::string_view text);

class LeafFactory {
 public:
  explicit LeafFactory(std::shared_ptr<const GrammarVocabulary> vocabulary);

  LeafPtr plain(Dfa dfa, bool takes_added = false, bool open_end = false) const;
  // A leaf of a regular expression of ours; kept for ever, so for fixed expressions only. With
  // `before_json` some token of JSON comes right after it.
  LeafPtr fixed(std::string_view pattern, bool before_json = false);
  // A JSON string of `content`; kept for ever, so for fixed automata (formats) only.
  Result<LeafPtr> shared_string(const std::shared_ptr<const Dfa>& content);
  // A string of min to max characters with any legal escapes.
  LeafPtr counted(uint32_t min, uint32_t max) const;
  // Any key but those that the object has already, with its colon.
  LeafPtr any_key(JsonSpace space);
  // The same for keys whose text `content` matches.
  Result<LeafPtr> key_of(const Dfa& content, JsonSpace space);
  // A string item that no earlier item of its array equals.
  Result<LeafPtr> unique_string(const Dfa& content) const;
  // One key with its colon.
  LeafPtr named_key(std::string_view name, JsonSpace space);

 private:
  std::shared_ptr<const GrammarVocabulary> vocabulary_;
  std::shared_ptr<std::atomic<size_t>> cache_bytes_;
  std::shared_ptr<const CountedString> string_;
  std::shared_ptr<const StringTables> tables_;
  std::shared_ptr<const Dfa> json_tokens_;
  std::mutex mutex_;
  std::map<std::string, LeafPtr, std::less<>> fixed_;
  std::map<std::shared_ptr<const Dfa>, LeafPtr> strings_;
  LeafPtr any_key_[2];
};

// White space after punctuation, as a regular expression.
std::string_view space_pattern(JsonSpace space);

}  // namespace yunqi
