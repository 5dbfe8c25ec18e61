// llama.cpp's speed at what `yunqi bench` measures: a prompt in one batch, then greedy tokens one
// by one; its defaults, the best of some passes, one JSON line. Not part of the build; made by hand
// with
//   g++ -O2 -std=c++17 -I<llama.cpp>/include -I<llama.cpp>/ggml/include tools/llama_speed.cc
//       -L<llama.cpp build>/bin -lllama -lggml -lggml-base -o llama_speed
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "llama.h"

namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

llama_token best(const float* logits, int32_t vocab) {
  return static_cast<llama_token>(std::max_element(logits, logits + vocab) - logits);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: llama_speed MODEL.gguf THREADS PROMPT GENERATE\n");
    return 2;
  }
  const int threads = std::atoi(argv[2]), prompt = std::atoi(argv[3]),
            generate = std::atoi(argv[4]);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) return 1;
  const int32_t vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(prompt + generate + 8);
  params.n_batch = params.n_ubatch = static_cast<uint32_t>(std::max(prompt, 512));
  params.n_threads = params.n_threads_batch = threads;
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return 1;
  double prefill = 0, decode = 0;
  for (int pass = 0; pass < 3; ++pass) {
    llama_memory_clear(llama_get_memory(context), true);
    std::vector<llama_token> tokens;
    for (int i = 0; i < prompt; ++i) tokens.push_back(1000 + i * 7);
    double start = now_s();
    if (llama_decode(context, llama_batch_get_one(tokens.data(), prompt)) != 0) return 1;
    llama_token next = best(llama_get_logits_ith(context, -1), vocab);
    prefill = std::max(prefill, prompt / (now_s() - start));
    start = now_s();
    for (int i = 0; i < generate; ++i) {
      if (llama_decode(context, llama_batch_get_one(&next, 1)) != 0) return 1;
      next = best(llama_get_logits_ith(context, -1), vocab);
    }
    decode = std::max(decode, generate / (now_s() - start));
  }
  std::printf("{\"prefill_tokens_per_s\": %.1f, \"decode_tokens_per_s\": %.1f}\n", prefill, decode);
  llama_free(context);
  llama_model_free(model);
  return 0;
}
