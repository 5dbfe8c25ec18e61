// tokenizer.json from anywhere: refused with a status or made into a tokenizer whose ids decode to
// the text. The first byte chooses between a whole file and a tiktoken file.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace std::string_view_literals;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool tiktoken = input.starts_with('T');
  auto spec =
      tiktoken ? yunqi::parse_tiktoken(input.substr(1), {}) : yunqi::parse_tokenizer_json(input);
  if (!spec.is_ok()) return 0;
  const bool nfc = spec->nfc;
  const auto tokenizer = yunqi::Tokenizer::create(std::move(spec).value());
  if (!tokenizer.is_ok()) return 0;
  for (const std::string_view text :
       {"a b\n\n  c'S 12 \xff\xe4\xb8"sv, "aaaaaaaaaaaaaaaa"sv, input}) {
    const auto ids = tokenizer->encode(text);
    if (!nfc) YQ_CHECK(tokenizer->decode(ids) == text, "decoding must undo encoding");
    static_cast<void>(tokenizer->encode(text, {.allow_added_tokens = true}));
  }
  return 0;
}
