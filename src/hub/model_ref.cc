// Parsing of MODEL. Every character that could leave a folder or an URL's path is refused here,
// before a name reaches the file system or the network.
#include "hub/model_ref.h"

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/sha256.h"
#include "http/client.h"

namespace yunqi {
namespace {

constexpr size_t kMaxRepoPartBytes = 96;

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool all_of(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alnum(c) || extra.find(c) != std::string_view::npos;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// For error messages: no control bytes, bounded.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 120));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

Status check_part(std::string_view part, std::string_view extra, size_t max_bytes,
                  std::string_view what) {
  if (part.empty() || part.size() > max_bytes || part[0] == '.' || part[0] == '-' ||
      part[0] == ' ' || !all_of(part, extra)) {
    return error(Code::kInvalidArgument,
                 "{}: want 1 to {} of letters, digits and \"{}\", not starting with '.', '-' or a "
                 "space, found \"{}\"",
                 what, max_bytes, extra, shown(part));
  }
  return Status::ok();
}

Result<ModelRef> parse_hub_ref(ModelRef::Kind kind, std::string_view prefix,
                               std::string_view rest) {
  ModelRef ref;
  ref.kind = kind;
  const size_t colon = rest.find(':');
  ref.repo = rest.substr(0, colon);
  YQ_RETURN_IF_ERROR(check_repo_name(ref.repo));
  if (colon != std::string_view::npos) {
    ref.file = rest.substr(colon + 1);
    YQ_RETURN_IF_ERROR(check_file_name(ref.file));
  }
  ref.name = std::string(prefix) + ref.repo + (ref.file.empty() ? "" : ":" + ref.file);
  return ref;
}

Result<ModelRef> parse_url_ref(std::string_view model) {
  ModelRef ref;
  ref.kind = ModelRef::Kind::kUrl;
  ref.url = model.substr(0, model.find('#'));
  YQ_RETURN_IF_ERROR(url_origin(ref.url).status());
  const size_t host = ref.url.find("//") + 2;
  const size_t path = ref.url.find_first_of("/?", host);
  if (ref.url.substr(host, path - host).find('@') != std::string::npos) {
    return error(Code::kInvalidArgument,
                 "model URL: want one without a user and password, which would be stored");
  }
  if (path == std::string::npos || path == host || ref.url[path] != '/') {
    return error(Code::kInvalidArgument, "model URL: want https://host/path/file.gguf, found {}",
                 shown(ref.url));
  }
  const std::string file = ref.url.substr(path, ref.url.find('?') - path);
  ref.file = file.substr(file.rfind('/') + 1);
  YQ_RETURN_IF_ERROR(check_file_name(ref.file).with_context("the file's name in the URL"));
  if (!lower(ref.file).ends_with(".gguf")) {
    return error(Code::kInvalidArgument, "model URL: want one of a .gguf file, found {}",
                 shown(ref.file));
  }
  ref.name = ref.url;
  return ref;
}

bool looks_like_path(std::string_view model) {
  const Path path{std::string(model)};
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return true;
  // A folder beside the user that happens to be called like a model is not one.
  if (std::filesystem::is_regular_file(path / "config.json", ignored)) return true;
  return model[0] == '.' || model.find('/') != std::string_view::npos ||
         lower(model).ends_with(".gguf");
}

}  // namespace

Status check_repo_name(std::string_view repo) {
  const size_t slash = repo.find('/');
  if (slash == std::string_view::npos) {
    return error(Code::kInvalidArgument, "repository: want owner/name, found \"{}\"", shown(repo));
  }
  YQ_RETURN_IF_ERROR(check_part(repo.substr(0, slash), "._-", kMaxRepoPartBytes, "owner"));
  return check_part(repo.substr(slash + 1), "._-", kMaxRepoPartBytes, "repository name");
}

Status check_file_name(std::string_view file) {
  for (size_t parts = 1;; ++parts) {
    if (parts > kMaxFileNameParts) {
      return error(Code::kInvalidArgument, "file name: want at most {} parts, found more",
                   kMaxFileNameParts);
    }
    const size_t slash = file.find('/');
    YQ_RETURN_IF_ERROR(
        check_part(file.substr(0, slash), "._-+=@,() ", kMaxFileNameBytes, "file name"));
    if (slash == std::string_view::npos) return Status::ok();
    file.remove_prefix(slash + 1);
  }
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_catalogue_name(std::string_view text) {
  if (text.size() > kMaxRepoPartBytes || text != lower(text)) return false;
  const size_t colon = text.find(':');
  if (!check_part(text.substr(0, colon), "._-", kMaxRepoPartBytes, "name").is_ok()) return false;
  return colon == std::string_view::npos ||
         check_part(text.substr(colon + 1), "._-", kMaxRepoPartBytes, "tag").is_ok();
}

std::string store_folder_name(std::string_view name) {
  constexpr size_t kReadableBytes = 80;
  constexpr size_t kHashDigits = 12;
  std::string readable;
  for (const char c : name.substr(0, kReadableBytes)) {
    const bool safe = is_alnum(c) || c == '_' || c == '.';
    readable += safe && !(readable.empty() && c == '.') ? c : '-';
  }
  // Different names may look the same once made safe; the hash keeps them apart.
  return readable + "-" + to_hex(sha256(name)).substr(0, kHashDigits);
}

Result<ModelRef> parse_model_ref(std::string_view model) {
  if (model.empty() || model.size() > kMaxModelRefBytes ||
      model.find('\0') != std::string_view::npos) {
    return error(Code::kInvalidArgument, "model: want a name of 1 to {} bytes, found {} bytes",
                 kMaxModelRefBytes, model.size());
  }
  if (model.starts_with("hf:")) {
    return parse_hub_ref(ModelRef::Kind::kHuggingFace, "hf:", model.substr(3));
  }
  if (model.starts_with("ms:")) {
    return parse_hub_ref(ModelRef::Kind::kModelScope, "ms:", model.substr(3));
  }
  if (model.starts_with("http://") || model.starts_with("https://")) return parse_url_ref(model);

  ModelRef ref;
  if (looks_like_path(model)) {
    ref.kind = ModelRef::Kind::kPath;
    ref.name = model;
    return ref;
  }
  ref.name = lower(model);
  if (!is_catalogue_name(ref.name)) {
    return error(Code::kInvalidArgument,
                 "model: want a path, a name such as qwen3:0.6b, hf:owner/repo[:file], "
                 "ms:owner/repo[:file] or a URL, found \"{}\"",
                 shown(model));
  }
  return ref;
}

}  // namespace yunqi
