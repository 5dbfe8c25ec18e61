// Tokens in base 32 from OpenSSL's generator, which reseeds itself from the kernel.
#include "store/token.h"

#include <openssl/rand.h>

#include "base/check.h"

namespace yunqi {

std::string random_token(size_t characters) {
  constexpr std::string_view kAlphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  static_assert(kAlphabet.size() == 32);
  std::string out(characters, '\0');
  // A machine without entropy can't make keys; there is no safe way on.
  YQ_CHECK(
      RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1,
      "the system gives no random bytes");
  for (char& c : out) c = kAlphabet[static_cast<unsigned char>(c) & 31u];
  return out;
}

}  // namespace yunqi
