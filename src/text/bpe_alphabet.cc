// Tables both ways, made at compile time.
#include "text/bpe_alphabet.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"
#include "text/unicode.h"

namespace yunqi {
namespace {

constexpr size_t kAlphabetEnd = 0x100 + 68;  // 68 bytes are not printable Latin-1

constexpr bool stands_for_itself(size_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char16_t, 256> letter{};
  std::array<int16_t, kAlphabetEnd> byte{};  // -1 outside the alphabet
};

constexpr Alphabet kAlphabet = [] {
  Alphabet out;
  out.byte.fill(-1);
  size_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const size_t letter = stands_for_itself(byte) ? byte : next++;
    out.letter[byte] = static_cast<char16_t>(letter);
    out.byte[letter] = static_cast<int16_t>(byte);
  }
  return out;
}();

}  // namespace

std::optional<std::string> decode_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const ScannedChar c = scan_char(text, i);
    if (!c.valid || c.code_point >= kAlphabetEnd || kAlphabet.byte[c.code_point] < 0) {
      return std::nullopt;
    }
    out += static_cast<char>(kAlphabet.byte[c.code_point]);
    i += c.length;
  }
  return out;
}

std::string encode_byte_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(out, kAlphabet.letter[static_cast<unsigned char>(c)]);
  return out;
}

}  // namespace yunqi
