// Hugging Face and ModelScope: list a repository, choose the files, download each. The token goes
// to the endpoint's own origin only; the HTTP client drops it on a redirect elsewhere.
#include <algorithm>
#include <cstdlib>

#include "http/client.h"
#include "hub/download.h"
#include "hub/fetch.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

constexpr std::string_view kHuggingFace = "https://huggingface.co";
constexpr std::string_view kModelScope = "https://modelscope.cn";
constexpr int kMaxListPages = 20;

std::string text_or_env(const std::string& option, const char* name, std::string_view fallback) {
  if (!option.empty()) return option;
  const char* value = std::getenv(name);
  return value && *value ? std::string(value) : std::string(fallback);
}

// The hub as it is for this pull.
struct Endpoint {
  bool hugging_face = true;
  std::string url;  // without a slash at its end
  UrlOrigin origin;
  HeaderFields headers;
  std::string access_hint;
};

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

Result<Endpoint> make_endpoint(const CatalogueSource& source, const PullOptions& options) {
  Endpoint out;
  out.hugging_face = source.kind == CatalogueSource::Kind::kHuggingFace;
  out.url = out.hugging_face ? text_or_env(options.hf_endpoint, "HF_ENDPOINT", kHuggingFace)
                             : text_or_env(options.ms_endpoint, "MODELSCOPE_ENDPOINT", kModelScope);
  while (!out.url.empty() && out.url.back() == '/') out.url.pop_back();
  Result<UrlOrigin> origin = url_origin(out.url);
  if (!origin.is_ok()) return origin.status().with_context("hub endpoint");
  out.origin = std::move(*origin);
  if (!out.hugging_face) {
    out.access_hint = ": the repository does not exist or is private";
    return out;
  }
  const std::string token = text_or_env(options.hf_token, "HF_TOKEN", "");
  // In the clear a token is anyone's.
  const bool safe = out.origin.scheme == "https" || is_loopback(out.origin.host);
  if (!token.empty() && safe) out.headers.emplace_back("authorization", "Bearer " + token);
  out.access_hint = token.empty()
                        ? ": the repository does not exist, is private or is gated; check its "
                          "name, accept its terms on the hub's page and set HF_TOKEN"
                        : ": HF_TOKEN does not open this repository; accept its terms on the hub's "
                          "page or use another token";
  return out;
}

// A file's name as part of an URL: check_file_name allows few characters, fewer go unescaped.
std::string escaped(std::string_view name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-' || c == '/';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

const Json* string_member(const Json& item, std::string_view key) {
  const Json* value = item.find(key);
  return value && value->is_string() ? value : nullptr;
}

uint64_t size_member(const Json& item, std::string_view key) {
  const Json* value = item.find(key);
  if (!value || !value->is_int() || value->as_int() < 0) return 0;
  return std::min(static_cast<uint64_t>(value->as_int()), kMaxFileBytes);
}

Status bad_listing(const Endpoint& endpoint, std::string_view what) {
  return error(Code::kUnavailable, "{}: want a list of files, found {}", endpoint.url, what);
}

// Adds the entry when it is a file whose name we could keep; odd names are not an error, as they
// are never one of ours.
void add_file(std::vector<RepoFile>& out, const std::string& name, uint64_t bytes,
              const std::string& sha256) {
  if (!check_file_name(name).is_ok() || bytes == 0) return;
  out.push_back({name, bytes, is_sha256_hex(sha256) ? sha256 : std::string()});
}

Status read_hf_page(const Json& page, const Endpoint& endpoint, std::vector<RepoFile>& out) {
  if (!page.is_array()) return bad_listing(endpoint, page.type_name());
  for (const Json& item : page.as_array()) {
    const Json* path = string_member(item, "path");
    const Json* type = string_member(item, "type");
    if (!path || !type || type->as_string() != "file") continue;
    const Json* lfs = item.find("lfs");
    const Json* oid = lfs ? string_member(*lfs, "oid") : nullptr;
    const uint64_t bytes = lfs && lfs->is_object() ? size_member(*lfs, "size") : 0;
    add_file(out, path->as_string(), bytes != 0 ? bytes : size_member(item, "size"),
             oid ? oid->as_string() : "");
  }
  return Status::ok();
}

Status read_ms_page(const Json& page, const Endpoint& endpoint, std::vector<RepoFile>& out) {
  const Json* data = page.find("Data");
  const Json* files = data ? data->find("Files") : nullptr;
  if (!files || !files->is_array()) return bad_listing(endpoint, "no Data.Files");
  for (const Json& item : files->as_array()) {
    const Json* path = string_member(item, "Path");
    const Json* type = string_member(item, "Type");
    if (!path || (type && type->as_string() == "tree")) continue;
    const Json* sha256 = string_member(item, "Sha256");
    add_file(out, path->as_string(), size_member(item, "Size"), sha256 ? sha256->as_string() : "");
  }
  return Status::ok();
}

Result<std::vector<RepoFile>> list_files(const Endpoint& endpoint, const std::string& repo,
                                         const PullContext& context) {
  FetchRequest request;
  request.headers = endpoint.headers;
  request.access_hint = endpoint.access_hint;
  request.url =
      endpoint.hugging_face
          ? endpoint.url + "/api/models/" + repo + "/tree/main?recursive=true"
          : endpoint.url + "/api/v1/models/" + repo + "/repo/files?Recursive=true&Revision=master";
  std::vector<RepoFile> files;
  for (int pages = 0; !request.url.empty(); ++pages) {
    if (pages >= kMaxListPages || files.size() > kMaxRepoFiles) {
      return error(Code::kTooLarge, "{}: want at most {} files in {} pages in a repository",
                   endpoint.url, kMaxRepoFiles, kMaxListPages);
    }
    std::string next;
    YQ_TRY(const Json page,
           fetch_json(request, context.options.retry_base_ms, context.keep_going(), &next));
    YQ_RETURN_IF_ERROR(endpoint.hugging_face ? read_hf_page(page, endpoint, files)
                                             : read_ms_page(page, endpoint, files));
    if (!next.empty()) {
      const Result<UrlOrigin> origin = url_origin(next);
      if (!origin.is_ok() || !(*origin == endpoint.origin)) {
        return bad_listing(endpoint, "a next page on another host");
      }
    }
    request.url = next;
  }
  return files;
}

}  // namespace

Result<FetchedModel> fetch_from_hub(const CatalogueSource& source, const std::string& sha256,
                                    const PullContext& context) {
  YQ_RETURN_IF_ERROR(check_repo_name(source.repo));
  context.meter.begin(source.repo, "connecting");
  YQ_TRY(const Endpoint endpoint, make_endpoint(source, context.options));
  YQ_TRY(const std::vector<RepoFile> listed, list_files(endpoint, source.repo, context));
  YQ_TRY(const RepoSelection selection, select_files(listed, source.file));
  if (selection.files.size() > kMaxModelFiles) {
    return error(Code::kTooLarge, "{}: want at most {} files in a model, found {}", source.repo,
                 kMaxModelFiles, selection.files.size());
  }
  const std::string base = endpoint.url + (endpoint.hugging_face ? "/" : "/models/") + source.repo +
                           "/resolve/" + (endpoint.hugging_face ? "main/" : "master/");
  std::vector<RemoteFile> remotes;
  uint64_t total = 0;
  uint64_t kept = 0;
  for (const RepoFile& file : selection.files) {
    RemoteFile remote{file.name,   base + escaped(file.name), endpoint.headers, file.bytes,
                      file.sha256, endpoint.access_hint};
    total += file.bytes;
    kept += kept_bytes(remote, context);
    remotes.push_back(std::move(remote));
  }
  if (!sha256.empty() && remotes.size() == 1 && !selection.is_folder) {
    if (!remotes[0].sha256.empty() && remotes[0].sha256 != sha256) {
      return error(Code::kBadFile, "{}: want sha256 {}, the hub has another file with {}",
                   remotes[0].name, sha256, remotes[0].sha256);
    }
    remotes[0].sha256 = sha256;
  }
  context.meter.set_total(total);
  YQ_RETURN_IF_ERROR(context.check_disk(total - std::min(kept, total)));
  FetchedModel model;
  model.is_folder = selection.is_folder;
  model.source = source_text(source);
  for (const RemoteFile& remote : remotes) {
    YQ_TRY(StoredFile file, download_file(remote, context));
    model.files.push_back(std::move(file));
  }
  return model;
}

}  // namespace yunqi
