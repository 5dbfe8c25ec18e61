// The text of a key, sk-yq-<id>-<secret>-<checksum>, and what the database keeps of it: an
// HMAC-SHA-256 under the server's pepper. The checksum lets scanners and log filters know a key
// without asking the database, and stops typing errors before it is asked.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "store/secret.h"

namespace yunqi {

inline constexpr size_t kKeyIdCharacters = 12;      // 60 bits, the look-up index
inline constexpr size_t kKeySecretCharacters = 40;  // 200 bits
inline constexpr size_t kKeyChecksumCharacters = 6;
inline constexpr size_t kMinPepperBytes = 32;

// HMAC-SHA-256 (RFC 2104), 32 raw bytes.
std::string hmac_sha256(std::string_view key, std::string_view message);

struct KeyText {
  std::string id;
  Secret text;  // the whole, to be shown once
};
KeyText make_key();

// The id of a well-formed key; empty when the shape, an alphabet or the checksum is wrong.
std::string key_id_of(std::string_view text);

// Hex; what Directory keeps. Domain-separated: the pepper serves nothing else by this label.
Secret key_digest(const Secret& pepper, std::string_view text);

// Time depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

// `text` with every key in it, and what looks like one, replaced by sk-yq-***.
std::string redact_keys(std::string_view text);

// Reads the pepper, or makes one that only its owner may read. kBadFile when it is too short.
Result<Secret> load_pepper(const Path& path);

}  // namespace yunqi
