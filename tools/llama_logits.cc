// Logits of llama.cpp for the tokens of a logits file, in the same format: the peer's side of
// tools/compare_quality.py, with llama.cpp's defaults. Not part of the build; made by hand with
//   g++ -O2 -std=c++17 -I<llama.cpp>/include -I<llama.cpp>/ggml/include tools/llama_logits.cc
//       -L<llama.cpp build>/bin -lllama -lggml -lggml-base -o llama_logits
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "llama.h"

namespace {

struct Head {
  char magic[4];
  uint32_t version, rows, vocab;
};

bool read_tokens(const char* path, std::vector<int32_t>& tokens) {
  std::FILE* file = std::fopen(path, "rb");
  Head head;
  if (file == nullptr || std::fread(&head, sizeof(head), 1, file) != 1 ||
      std::memcmp(head.magic, "YQLG", 4) != 0 || head.version != 1) {
    return false;
  }
  tokens.resize(head.rows);
  const bool whole = std::fread(tokens.data(), 4, tokens.size(), file) == tokens.size();
  std::fclose(file);
  return whole;
}

bool write_logits(llama_context* context, std::vector<int32_t>& tokens, uint32_t vocab,
                  const char* path) {
  std::FILE* out = std::fopen(path, "wb");
  if (out == nullptr) return false;
  const Head head{{'Y', 'Q', 'L', 'G'}, 1, static_cast<uint32_t>(tokens.size()), vocab};
  std::fwrite(&head, sizeof(head), 1, out);
  std::fwrite(tokens.data(), 4, tokens.size(), out);
  const size_t chunk = llama_n_batch(context);
  for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const size_t count = std::min(chunk, tokens.size() - begin);
    llama_batch batch = llama_batch_init(static_cast<int32_t>(count), 0, 1);
    batch.n_tokens = static_cast<int32_t>(count);
    for (size_t i = 0; i < count; ++i) {
      batch.token[i] = tokens[begin + i];
      batch.pos[i] = static_cast<llama_pos>(begin + i);
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    const bool decoded = llama_decode(context, batch) == 0;
    for (size_t i = 0; decoded && i < count; ++i) {
      std::fwrite(llama_get_logits_ith(context, static_cast<int32_t>(i)), 4, vocab, out);
    }
    llama_batch_free(batch);
    if (!decoded) return false;
  }
  return std::fclose(out) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int32_t> tokens;
  if (argc != 4 || !read_tokens(argv[2], tokens)) {
    std::fprintf(stderr, "usage: llama_logits MODEL.gguf TOKENS.logits OUT.logits\n");
    return 2;
  }
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(tokens.size()) + 8;
  params.n_threads = params.n_threads_batch = 2;
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return 1;
  const auto vocab = static_cast<uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  const bool written = write_logits(context, tokens, vocab, argv[3]);
  llama_free(context);
  llama_model_free(model);
  return written ? 0 : 1;
}
