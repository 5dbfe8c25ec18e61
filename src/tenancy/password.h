// Passwords of the page's users: Argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane). A
// check takes tens of milliseconds and as much memory, so callers limit how many run at once.
#pragma once

#include <string_view>

#include "base/result.h"
#include "store/secret.h"

namespace yunqi {

inline constexpr size_t kMinPasswordBytes = 10;
inline constexpr size_t kMaxPasswordBytes = 1'024;

// Argon2's text form ("$argon2id$v=19$..."). kInvalidArgument for a length out of bounds.
Result<Secret> hash_password(const Secret& password);

// False for a wrong password, a wrong length, or an empty or damaged hash; the same work is done
// for an empty hash, so that an unknown user takes as long as a known one.
bool verify_password(const Secret& password, const Secret& hash);

}  // namespace yunqi
