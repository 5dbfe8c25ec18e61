// Cuts text into the pieces that byte-pair encoding works inside, exactly as the Qwen regexes do,
// by hand-written scanners: linear in the text, no recursion, no state. Pure functions.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/tokenizer.h"

namespace yunqi {

// The end of the piece that starts at `at` (< text.size()); always beyond `at`. Bytes that are not
// UTF-8 count as symbols. Over a whole text the calls together are linear.
size_t find_piece_end(PreTokenizer pre, std::string_view text, size_t at);

// The regex of each scanner, as tokenizer.json spells it.
std::string_view pretokenizer_regex(PreTokenizer pre);

}  // namespace yunqi
