// A vocabulary of any size in the byte-level alphabet: 256 bytes, pieces of letters made by
// merges, control tokens, padding. Internal to model/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace yunqi {

struct SyntheticVocabulary {
  std::vector<std::string> tokens;  // [rows], GPT-2's alphabet
  std::vector<int32_t> types;       // GGUF's: 1 ordinary, 3 control, 5 unused
  std::vector<std::string> merges;  // "left right", by rank
  int32_t end_of_text = 0, end_of_turn = 0;
};

// `ids` tokens of which the last few are control tokens, then padding up to `rows`.
SyntheticVocabulary make_synthetic_vocabulary(int32_t ids, int32_t rows);

}  // namespace yunqi
