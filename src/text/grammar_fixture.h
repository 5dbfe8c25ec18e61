// For tests of grammars: a small vocabulary of bytes and some longer tokens, and short ways to
// compile and to judge.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {

// Ids 0 to 255 are the bytes; then tokens that cut JSON at odd places; then added ones. The last
// id, special, ends the output.
struct GrammarFixture {
  GrammarFixture() {
    TokenizerSpec spec =
        byte_spec({"\":", "\",", "{\"", "\"}", "true", ", \"", "ab", "abc", "name", "\": \"", "12",
                   "  ", "\n  ", "}}", "],", "\"a\":", "\xE4\xB8", "me\":", "<tool"});
    const auto added = [&](const char* text, bool special) {
      const auto id = static_cast<TokenId>(spec.tokens.size() + spec.added.size());
      spec.added.push_back({id, text, special});
      return id;
    };
    call = added("<tool_call>", false);
    call_end = added("</tool_call>", false);
    stop = added("<|end|>", true);
    tokenizer = std::make_unique<Tokenizer>(Tokenizer::create(std::move(spec)).value());
    vocabulary = GrammarVocabulary::create(*tokenizer, {stop}).value();
    compiler = std::make_unique<GrammarCompiler>(vocabulary);
  }

  Result<std::shared_ptr<const CompiledGrammar>> compile(GrammarSpec spec) {
    return compiler->compile(spec);
  }
  GrammarMatcher matcher(const GrammarSpec& spec) {
    return GrammarMatcher(compiler->compile(spec).value());
  }

  TokenId call = 0, call_end = 0, stop = 0;
  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<const GrammarVocabulary> vocabulary;
  std::unique_ptr<GrammarCompiler> compiler;
};

inline GrammarFixture& grammar_fixture() {
  static GrammarFixture fixture;
  return fixture;
}

inline GrammarSpec text_spec(GrammarSpec::Kind kind, std::string text) {
  GrammarSpec spec;
  spec.kind = kind;
  spec.text = std::move(text);
  return spec;
}

inline GrammarSpec schema_spec(std::string_view schema, JsonSpace space = JsonSpace::kFlexible) {
  GrammarSpec spec;
  spec.kind = GrammarSpec::Kind::kJsonSchema;
  spec.schema = parse_json(schema).value();
  spec.space = space;
  return spec;
}

// Whether the grammar is a match for `text`; on the way every mask must agree, token by token, with
// what the matcher accepts.
inline bool judges(const GrammarSpec& spec, std::string_view text, bool check_masks = true) {
  GrammarFixture& fixture = grammar_fixture();
  GrammarMatcher matcher = fixture.matcher(spec);
  TokenMask mask;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (check_masks) {
      matcher.fill_mask(mask);
      for (TokenId id = 0; id < fixture.vocabulary->size(); ++id) {
        GrammarMatcher copy = matcher;
        const bool accepted = copy.accept(id);
        if (accepted != mask.test(id)) {
          ADD_FAILURE() << "token " << id << " '" << fixture.tokenizer->token_bytes(id)
                        << "': mask says " << mask.test(id) << " after " << text.substr(0, i);
          return false;
        }
      }
    }
    if (i < text.size() && !matcher.accept_bytes(text.substr(i, 1))) return false;
  }
  return matcher.is_complete();
}

}  // namespace yunqi
