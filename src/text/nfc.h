// Unicode Normalization Form C with the tables of the `tokenizers` wheel (text/unicode_data.cc).
// Pure functions; O(n log n) at worst, in long runs of combining marks.
#pragma once

#include <string>
#include <string_view>

namespace yunqi {

// What NFC has to do with a text.
enum class NfcNeed {
  kNone,     // already normal: nearly every text
  kActive,   // has characters that may change
  kInvalid,  // is not UTF-8: not normalised, so that its bytes survive
};
NfcNeed check_nfc(std::string_view text);

// `text` in NFC; it must be valid UTF-8.
std::string normalize_nfc(std::string_view text);

}  // namespace yunqi
