// Our side of the grammar oracle (check_grammars.py).
//   grammar_lines TOKENIZER          a tokenizer.json or .gguf
// stdin: one JSON object per line: {"spec": {"kind": "schema", "schema": ..., ...},
// "instances": ["text", ...], "generate": n, "seed": s}. stdout: one JSON object per line with the
// status, the verdicts by bytes and by token masks, generated texts, and times in microseconds.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace yunqi {
namespace {

using Random = std::mt19937_64;

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

Result<Tokenizer> open_tokenizer(const std::string& path) {
  if (path.ends_with(".gguf")) {
    YQ_TRY(const auto checkpoint, Checkpoint::open(path));
    const TokenizerFiles& files = checkpoint->tokenizer();
    YQ_TRY(auto spec,
           spec_from_gguf(files.gguf_tokens, files.gguf_types, files.gguf_merges, files.gguf_pre));
    return Tokenizer::create(std::move(spec));
  }
  YQ_TRY(const std::string text, read_file(path));
  YQ_TRY(auto spec, parse_tokenizer_json(text));
  return Tokenizer::create(std::move(spec));
}

std::string text_of(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  return found && found->is_string() ? found->as_string() : "";
}

bool flag_of(const Json& json, std::string_view key, bool otherwise) {
  const Json* found = json.find(key);
  return found && found->is_bool() ? found->as_bool() : otherwise;
}

GrammarSpec spec_of(const Json& json) {
  GrammarSpec spec;
  const std::string kind = text_of(json, "kind");
  spec.kind = kind == "schema"   ? GrammarSpec::Kind::kJsonSchema
              : kind == "regex"  ? GrammarSpec::Kind::kRegex
              : kind == "choice" ? GrammarSpec::Kind::kChoice
              : kind == "ebnf"   ? GrammarSpec::Kind::kEbnf
              : kind == "tags"   ? GrammarSpec::Kind::kTags
                                 : GrammarSpec::Kind::kJsonObject;
  if (const Json* schema = json.find("schema")) spec.schema = *schema;
  spec.text = text_of(json, "text");
  if (const Json* list = json.find("choices")) {
    for (const Json& choice : list->as_array()) spec.choices.push_back(choice.as_string());
  }
  if (flag_of(json, "compact", false)) spec.space = JsonSpace::kCompact;
  spec.assert_formats = flag_of(json, "formats", true);
  spec.free_text = flag_of(json, "free_text", true);
  spec.many_tags = flag_of(json, "many_tags", true);
  spec.min_tags = flag_of(json, "tag_required", false) ? 1 : 0;
  spec.separator = text_of(json, "separator");
  if (const Json* documents = json.find("documents")) {
    for (const auto& [uri, document] : documents->as_object()) {
      spec.documents.emplace_back(uri, document);
    }
  }
  if (const Json* tags = json.find("tags")) {
    for (const Json& tag : tags->as_array()) {
      spec.tags.push_back({text_of(tag, "begin"), text_of(tag, "trigger"),
                           spec_of(*tag.find("content")), text_of(tag, "end")});
    }
  }
  return spec;
}

// All allowed tokens that go on with `rest`, tried at random: a text passes only through masks.
bool passes_masks(GrammarMatcher matcher, std::string_view rest, Random& random) {
  const GrammarVocabulary& vocabulary = matcher.grammar().vocabulary();
  TokenMask mask;
  while (!rest.empty()) {
    matcher.fill_mask(mask);
    // The tokens that the text could go on with, whether allowed or not.
    std::vector<TokenId> fitting;
    const TokenTree& tree = vocabulary.tree();
    for (size_t length = 1; length <= rest.size() && length <= 16; ++length) {
      const auto [first, last] = tree.below(rest.substr(0, length));
      if (first == last) break;
      if (tree.nodes[first].token >= 0) fitting.push_back(tree.nodes[first].token);
    }
    if (fitting.empty()) return false;
    const TokenId id = fitting[random() % fitting.size()];
    const bool allowed = mask.test(id);
    if (allowed != matcher.accept(id)) {
      std::fprintf(stderr, "mask and matcher disagree on token %d before %.40s\n", id, rest.data());
      std::exit(3);
    }
    if (!allowed) return false;
    rest.remove_prefix(vocabulary.text(id).size());
  }
  return matcher.is_complete();
}

// A sampler that knows nothing but the mask: stands in for a model, and the worst one there is.
class RandomSampler {
 public:
  // Past its patience it closes what it can, and else prefers the bytes of `hint` (names of members
  // that must come).
  RandomSampler(const GrammarVocabulary& vocabulary, Random& random, const std::string& hint)
      : vocabulary_(vocabulary), random_(random), hint_(hint) {
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      const auto [first, last] = vocabulary.tree().below(std::string_view(&c, 1));
      if (first != last && vocabulary.tree().nodes[first].token >= 0) {
        bytes_.emplace_back(byte, vocabulary.tree().nodes[first].token);
      }
    }
  }

  TokenId choose(const TokenMask& mask, size_t step) {
    for (const TokenId id : vocabulary_.stop()) {
      if (mask.test(id) && (step > kPatience || random_() % 2 == 0)) return id;
    }
    if (random_() % 2 == 0 && step < kPatience) {
      // Any allowed token, each as likely as the others.
      const size_t allowed = mask.count();
      if (allowed > 0) return nth(mask, random_() % allowed);
    }
    std::vector<TokenId> some;
    for (const auto& [byte, id] : bytes_) {
      if (!mask.test(id)) continue;
      const bool closes = byte == '"' || byte == '}' || byte == ']';
      const bool hinted = step > kPatience && hint_.find(static_cast<char>(byte)) != hint_.npos;
      some.insert(some.end(), closes ? (step > kPatience ? 400 : 12) : hinted ? 200 : 1, id);
    }
    if (some.empty()) return nth(mask, random_() % std::max<size_t>(mask.count(), 1));
    return some[random_() % some.size()];
  }

 private:
  static constexpr size_t kPatience = 150;
  static TokenId nth(const TokenMask& mask, size_t n) {
    for (size_t w = 0; w < mask.words().size(); ++w) {
      const auto here = static_cast<size_t>(__builtin_popcountll(mask.words()[w]));
      if (n >= here) {
        n -= here;
        continue;
      }
      uint64_t word = mask.words()[w];
      for (; n > 0; --n) word &= word - 1;
      return static_cast<TokenId>(w * 64 + static_cast<size_t>(__builtin_ctzll(word)));
    }
    return -1;
  }

  const GrammarVocabulary& vocabulary_;
  Random& random_;
  std::string hint_;
  std::vector<std::pair<int, TokenId>> bytes_;
};

Json generate(const std::shared_ptr<const CompiledGrammar>& grammar, Random& random,
              const std::string& hint, size_t most_tokens, Json& times) {
  GrammarMatcher matcher(grammar);
  RandomSampler sampler(grammar->vocabulary(), random, hint);
  TokenMask mask;
  std::string out;
  for (size_t step = 0; step < most_tokens; ++step) {
    const double before = cpu_us();
    matcher.fill_mask(mask);
    times.push_back(static_cast<int64_t>((cpu_us() - before) * 10));
    const TokenId id = sampler.choose(mask, step);
    if (id < 0) return Json("dead end after: " + out);
    if (!matcher.accept(id)) return Json("refused a token of its own mask after: " + out);
    if (grammar->vocabulary().is_stop(id)) return Json::array({out});
    out += grammar->vocabulary().text(id);
  }
  return Json("too long");
}

Json answer(GrammarCompiler& compiler, const Json& request) {
  Json reply;
  const GrammarSpec spec = spec_of(*request.find("spec"));
  const double before = cpu_us();
  const auto grammar = compiler.compile(spec);
  reply.set("compile_us", static_cast<int64_t>(cpu_us() - before));
  reply.set("status", std::string(code_name(grammar.status().code())));
  if (!grammar.is_ok()) {
    reply.set("message", grammar.status().message());
    reply.set("field", grammar.status().field());
    return reply;
  }
  Random random(request.find("seed") ? request.find("seed")->as_uint() : 1);
  if (const Json* instances = request.find("instances")) {
    Json by_bytes = Json::array(), by_tokens = Json::array();
    for (const Json& instance : instances->as_array()) {
      GrammarMatcher matcher(*grammar);
      bool good = true;
      for (const char c : instance.as_string()) {
        good = good && matcher.accept_bytes(std::string_view(&c, 1));
      }
      by_bytes.push_back(good && matcher.is_complete());
      by_tokens.push_back(passes_masks(GrammarMatcher(*grammar), instance.as_string(), random));
    }
    reply.set("bytes", std::move(by_bytes));
    reply.set("tokens", std::move(by_tokens));
  }
  if (const Json* count = request.find("generate")) {
    Json texts = Json::array(), times = Json::array();
    for (int64_t i = 0; i < count->as_int(); ++i) {
      texts.push_back(generate(*grammar, random, text_of(request, "hint"),
                               request.find("most_tokens")
                                   ? static_cast<size_t>(request.find("most_tokens")->as_int())
                                   : 20'000,
                               times));
    }
    reply.set("texts", std::move(texts));
    reply.set("mask_tenth_us", std::move(times));
  }
  return reply;
}

int run(const std::string& path) {
  const auto tokenizer = open_tokenizer(path);
  if (!tokenizer.is_ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().to_string().c_str());
    return 1;
  }
  const double before = cpu_us();
  std::vector<TokenId> stop;
  for (const char* const name : {"<|im_end|>", "<|endoftext|>"}) {
    if (tokenizer->find(name) >= 0) stop.push_back(tokenizer->find(name));
  }
  if (stop.empty()) stop.push_back(tokenizer->size() - 1);
  const auto vocabulary = GrammarVocabulary::create(*tokenizer, stop);
  if (!vocabulary.is_ok()) {
    std::fprintf(stderr, "%s\n", vocabulary.status().to_string().c_str());
    return 1;
  }
  GrammarCompiler compiler(*vocabulary);
  std::fprintf(stderr, "{\"tokens\": %d, \"vocabulary_ms\": %.1f}\n", tokenizer->size(),
               (cpu_us() - before) / 1000);
  std::string line;
  while (std::getline(std::cin, line)) {
    const Result<Json> request = parse_json(line);
    Json reply;
    if (request.is_ok() && request->find("spec")) {
      reply = answer(compiler, *request);
    } else {
      reply.set("status", "bad request");
      reply.set("message", request.is_ok() ? "no spec" : request.status().message());
    }
    std::printf("%s\n", reply.dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: grammar_lines TOKENIZER < requests > replies\n");
    return 2;
  }
  return yunqi::run(argv[1]);
}
