// The alphabet that GPT-2 writes bytes in inside JSON vocabularies: printable Latin-1 stands for
// itself, every other byte for U+0100 upwards, so that " " is "Ġ". Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace yunqi {

// The bytes that `text` spells; nothing when a character is not in the alphabet.
std::optional<std::string> decode_byte_alphabet(std::string_view text);
std::string encode_byte_alphabet(std::string_view bytes);

}  // namespace yunqi
