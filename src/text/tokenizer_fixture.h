// For tests: our own tiny tokenizer (tools/make_tokenizer_golden.py) and random text.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

namespace yunqi {

inline std::string golden_text(const std::string& name) {
  return read_file(Path(YUNQI_SOURCE_DIR) / "tests/golden" / name).value();
}

inline TokenizerSpec tiny_spec() {
  return parse_tokenizer_json(golden_text("tokenizer_tiny.json")).value();
}

inline Tokenizer tiny_tokenizer() { return Tokenizer::create(tiny_spec()).value(); }

// A vocabulary of the 256 bytes (id = byte) and `more` from id 256 on.
inline TokenizerSpec byte_spec(const std::vector<std::string>& more = {}) {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) spec.tokens.emplace_back(1, static_cast<char>(byte));
  spec.tokens.insert(spec.tokens.end(), more.begin(), more.end());
  return spec;
}

using Random = std::mt19937;

inline size_t below(Random& random, size_t end) { return random() % end; }

// Characters of every kind that a scanner or NFC tells apart.
inline std::string random_text(Random& random, size_t characters) {
  static constexpr char32_t kPlain[] = {U'a',   U'T',   U's',   U'e',   U' ',   U' ',   U'\n',
                                        U'\r',  U'\t',  U'\'',  U'!',   U'7',   U'中',  U'文',
                                        0x0301, 0x0327, 0x3000, 0xA0,   0x17F,  0x0661, 0x1F600,
                                        0xE9,   0x1100, 0x1161, 0x11A8, 0xAC00, 0x200D, 0x85};
  std::string out;
  for (size_t i = 0; i < characters; ++i) {
    char32_t c = kPlain[below(random, std::size(kPlain))];
    if (below(random, 8) == 0) c = static_cast<char32_t>(below(random, 0xD800));
    append_utf8(out, c);
  }
  return out;
}

inline std::string random_bytes(Random& random, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const size_t kind = below(random, 3);
    if (kind == 0) out += static_cast<char>(below(random, 256));
    if (kind == 1) out += static_cast<char>('a' + below(random, 3));
    if (kind == 2) out += random_text(random, 1);
  }
  return out;
}

}  // namespace yunqi
