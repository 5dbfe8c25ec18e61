// Our side of the tokenizer oracle and of the tokenizer benchmark: a program that encodes texts
// from stdin. TOKENIZER is a tokenizer.json, a .gguf or a .tiktoken file.
//   encode_lines TOKENIZER [--added] [--pre qwen2|qwen35] [--time]
// stdin: per text its length (u32, little-endian) and bytes. stdout: per text the number of ids
// (u32) and the ids (i32); then the process ends. With --time, one line of JSON on stderr instead.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "text/tokenizer.h"

namespace yunqi {
namespace {

struct Options {
  std::string path;
  PreTokenizer pre = PreTokenizer::kQwen2;  // of a tiktoken file, which does not say
  bool added = false;
  bool time = false;
};

using Seconds = std::chrono::duration<double>;

std::string read_stdin() {
  std::string out, block(size_t{1} << 20, '\0');
  for (;;) {
    const size_t got = std::fread(block.data(), 1, block.size(), stdin);
    if (got == 0) return out;
    out.append(block, 0, got);
  }
}

template <typename T>
void write_values(const T* values, size_t count) {
  std::fwrite(values, sizeof(T), count, stdout);
}

Result<Tokenizer> open_tokenizer(const Options& options) {
  if (options.path.ends_with(".gguf")) {
    YQ_TRY(const auto checkpoint, Checkpoint::open(options.path));
    const TokenizerFiles& files = checkpoint->tokenizer();
    YQ_TRY(auto spec,
           spec_from_gguf(files.gguf_tokens, files.gguf_types, files.gguf_merges, files.gguf_pre));
    return Tokenizer::create(std::move(spec));
  }
  YQ_TRY(const std::string text, read_file(options.path));
  if (options.path.ends_with(".tiktoken")) {
    YQ_TRY(auto spec, parse_tiktoken(text, {}));
    spec.pre = options.pre;
    return Tokenizer::create(std::move(spec));
  }
  YQ_TRY(auto spec, parse_tokenizer_json(text));
  return Tokenizer::create(std::move(spec));
}

int fail(const Status& status) {
  std::fprintf(stderr, "encode_lines: %s\n", status.to_string().c_str());
  return 1;
}

int run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto tokenizer = open_tokenizer(options);
  if (!tokenizer.is_ok()) return fail(tokenizer.status());
  const auto loaded = std::chrono::steady_clock::now();
  const std::string input = read_stdin();
  const EncodeOptions encode_options{.allow_added_tokens = options.added};
  std::vector<TokenId> ids;
  std::clock_t spent = 0;  // of this process, so that neighbours don't count
  size_t texts = 0, bytes = 0, total = 0;
  for (size_t at = 0; at + 4 <= input.size(); ++texts) {
    uint32_t length = 0;
    std::memcpy(&length, input.data() + at, sizeof length);
    const std::string_view text = std::string_view(input).substr(at + 4, length);
    at += 4 + text.size();
    ids.clear();
    const std::clock_t before = std::clock();
    tokenizer->encode_append(text, encode_options, ids);
    spent += std::clock() - before;
    bytes += text.size();
    total += ids.size();
    if (options.time) continue;
    const auto count = static_cast<uint32_t>(ids.size());
    write_values(&count, 1);
    write_values(ids.data(), ids.size());
  }
  if (options.time) {
    std::fprintf(stderr,
                 "{\"texts\": %zu, \"bytes\": %zu, \"ids\": %zu, \"encode_cpu_s\": %.6f, "
                 "\"load_s\": %.6f}\n",
                 texts, bytes, total, static_cast<double>(spent) / CLOCKS_PER_SEC,
                 Seconds(loaded - start).count());
  }
  return 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  yunqi::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--added") {
      options.added = true;
    } else if (arg == "--pre" && i + 1 < argc) {
      options.pre = std::string_view(argv[++i]) == "qwen35" ? yunqi::PreTokenizer::kQwen35
                                                            : yunqi::PreTokenizer::kQwen2;
    } else if (arg == "--time") {
      options.time = true;
    } else {
      options.path = arg;
    }
  }
  if (options.path.empty()) {
    std::fprintf(stderr, "usage: encode_lines TOKENIZER [--added] [--time] < texts > ids\n");
    return 2;
  }
  return yunqi::run(options);
}
