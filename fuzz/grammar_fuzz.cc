// Feeds any bytes to the grammar compiler, as a schema, a regular expression and EBNF; what
// compiles is run at random. A mask must never be empty before the end, never allow what the
// matcher refuses, and taking a step back must restore the state.
#include <algorithm>
#include <cstdint>
#include <random>

#include "base/check.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace yunqi {
namespace {

constexpr size_t kMaxSteps = 40;

GrammarCompiler& compiler() {
  static const Tokenizer tokenizer = [] {
    TokenizerSpec spec;
    for (int byte = 0; byte < 256; ++byte) spec.tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* more :
         {"\":", "\",", "{\"", "\"}", "true", "ab", "  ", "12", "],", "\xE4\xB8"}) {
      spec.tokens.emplace_back(more);
    }
    spec.added.push_back({static_cast<TokenId>(spec.tokens.size()), "<|end|>", true});
    return Tokenizer::create(std::move(spec)).value();
  }();
  static GrammarCompiler made(GrammarVocabulary::create(tokenizer, {tokenizer.size() - 1}).value());
  return made;
}

void run(const GrammarSpec& spec, size_t seed) {
  const auto grammar = compiler().compile(spec);
  if (!grammar.is_ok()) {
    YQ_CHECK(grammar.status().code() != Code::kInternal, "{}", grammar.status().to_string());
    return;
  }
  std::mt19937_64 random(seed);
  GrammarMatcher matcher(*grammar);
  TokenMask mask, again;
  for (size_t step = 0; step < kMaxSteps && !matcher.is_finished(); ++step) {
    matcher.fill_mask(mask);
    const size_t allowed = mask.count();
    YQ_CHECK(allowed > 0, "an empty mask");
    size_t wanted = random() % allowed;
    TokenId id = 0;
    while (!mask.test(id) || wanted-- > 0) ++id;
    YQ_CHECK(matcher.accept(id), "refuses token {} of its own mask", id);
    YQ_CHECK(matcher.rollback(1), "can't take a step back");
    matcher.fill_mask(again);
    YQ_CHECK(std::equal(mask.words().begin(), mask.words().end(), again.words().begin()),
             "another mask after a step back");
    YQ_CHECK(matcher.accept(id), "refuses a token the second time");
  }
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  yunqi::GrammarSpec spec;
  spec.text = text;
  for (const auto kind : {yunqi::GrammarSpec::Kind::kRegex, yunqi::GrammarSpec::Kind::kEbnf}) {
    spec.kind = kind;
    yunqi::run(spec, size);
  }
  spec.text.clear();
  const yunqi::Result<yunqi::Json> schema = yunqi::parse_json(text);
  if (schema.is_ok()) {
    spec.kind = yunqi::GrammarSpec::Kind::kJsonSchema;
    spec.schema = *schema;
    yunqi::run(spec, size);
  }
  return 0;
}
