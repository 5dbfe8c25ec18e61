// What a user may write for MODEL, split and checked. Pure text: nothing is looked up here but
// whether a path exists.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxModelRefBytes = 2048;
inline constexpr size_t kMaxFileNameBytes = 255;  // of one path component
inline constexpr size_t kMaxFileNameParts = 8;    // components of a file's name in a repository

struct ModelRef {
  enum class Kind { kPath, kCatalogue, kHuggingFace, kModelScope, kUrl };
  Kind kind = Kind::kCatalogue;
  std::string name;  // canonical: the same model has one name
  std::string repo;  // "owner/name", for the hubs
  std::string file;  // a file in the repository, a quantisation ("Q4_K_M"), or ""
  std::string url;   // kUrl
};

// kInvalidArgument says which part is wrong and what is allowed there.
Result<ModelRef> parse_model_ref(std::string_view model);

// "owner/name", each of letters, digits, '.', '_', '-', not starting with a dot or dash.
Status check_repo_name(std::string_view repo);
// A relative file name with forward slashes that stays inside its folder: no empty, "." or ".."
// part, no part starting with a dot or dash, only letters, digits and "._-+=@,() ".
Status check_file_name(std::string_view file);
// 64 lower-case hex digits.
bool is_sha256_hex(std::string_view text);
// "name" or "name:tag" of lower-case letters, digits, '.', '_', '-'.
bool is_catalogue_name(std::string_view text);

// The name of the folder in the store for a model's canonical name: readable, unique, and made of
// safe characters whatever the name holds.
std::string store_folder_name(std::string_view name);

}  // namespace yunqi
