// Holds back the bytes that begin a character, so that what leaves is always whole.
#include "base/utf8.h"
#include "text/tokenizer.h"

namespace yunqi {

std::string StreamDecoder::push(TokenId id) {
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  pending_ += tokenizer_->token_bytes(id);
  const size_t held = incomplete_utf8_suffix(pending_);
  const size_t whole = pending_.size() - held;
  std::string out = sanitize_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = sanitize_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace yunqi
