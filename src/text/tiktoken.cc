// tiktoken files: "base64 rank" lines, without merges. They are derived: what the tokens of lower
// rank make of a token's bytes is the pair that it is merged from.
#include "text/tokenizer.h"

namespace yunqi {

Result<TokenizerSpec> parse_tiktoken(std::string_view, std::vector<AddedToken>) {
  return error(Code::kUnsupported, "tiktoken files: not yet");
}

}  // namespace yunqi
