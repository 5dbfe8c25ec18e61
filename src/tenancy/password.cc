// libargon2 behind two functions.
#include "tenancy/password.h"

#include <argon2.h>

#include <array>
#include <string>

#include "store/token.h"

namespace yunqi {
namespace {

constexpr uint32_t kPasses = 2;
constexpr uint32_t kMemoryKib = 19 * 1024;
constexpr uint32_t kLanes = 1;
constexpr size_t kHashBytes = 32;
constexpr size_t kSaltCharacters = 26;  // 130 random bits

Result<Secret> hash_with_argon(std::string_view password) {
  const std::string salt = random_token(kSaltCharacters);
  std::array<char, 256> out{};
  const int result =
      argon2id_hash_encoded(kPasses, kMemoryKib, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, out.data(), out.size());
  if (result == ARGON2_OK) return Secret(out.data());
  return error(result == ARGON2_MEMORY_ALLOCATION_ERROR ? Code::kNoResources : Code::kInternal,
               "Argon2: {}", argon2_error_message(result));
}

}  // namespace

Result<Secret> hash_password(const Secret& password) {
  const size_t bytes = password.reveal().size();
  if (bytes < kMinPasswordBytes || bytes > kMaxPasswordBytes) {
    return error(Code::kInvalidArgument, "password: want {} to {} bytes, found {}",
                 kMinPasswordBytes, kMaxPasswordBytes, bytes);
  }
  return hash_with_argon(password.reveal());
}

bool verify_password(const Secret& password, const Secret& hash) {
  const std::string& text = password.reveal();
  if (text.size() > kMaxPasswordBytes) return false;
  if (hash.empty()) {
    (void)hash_with_argon(text);
    return false;
  }
  // A hash from the database with absurd parameters would eat the machine.
  if (!hash.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) return false;
  return argon2id_verify(hash.reveal().c_str(), text.data(), text.size()) == ARGON2_OK;
}

}  // namespace yunqi
