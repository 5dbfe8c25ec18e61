// From a model's name to files on disk: the catalogue, pull with resume and hashes, and the local
// store under $YUNQI_HOME/models. Blocking calls; safe from several threads and processes (a lock
// file per model). Knows files, not what is in them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/result.h"

namespace yunqi {

// One place to get an entry from, in the order of preference within the entry.
struct CatalogueSource {
  enum class Kind { kHuggingFace, kModelScope, kUrl, kPythonPackages };
  Kind kind = Kind::kHuggingFace;
  std::string repo;                   // "Qwen/Qwen3-0.6B-GGUF"
  std::string file;                   // "Qwen3-0.6B-Q8_0.gguf", a quantisation ("Q8_0") that one
                                      // file's name holds, "" = the folder or its best GGUF
  std::string url;                    // kUrl
  std::vector<std::string> packages;  // kPythonPackages: "name==version", parts in order
  std::string part_glob;              // kPythonPackages: "*/data/part{:02}.bin", 1 for the first
};

struct CatalogueEntry {
  std::string name;          // "qwen3:0.6b"
  std::string title;         // "Qwen3 0.6B, Q8_0"
  std::string architecture;  // "qwen3"
  bool supported = true;
  std::string unsupported_reason;  // when not
  uint64_t bytes = 0;              // 0 when not known before the pull
  std::string sha256;              // of the file; "" when the hub's own value is taken
  std::string license;
  std::vector<CatalogueSource> sources;
};

class Catalogue {
 public:
  // The built-in catalogue plus the user's `models.json` under `home`, which adds or replaces.
  static Result<Catalogue> load(const Path& home);
  const CatalogueEntry* find(std::string_view name) const;
  // Entries whose name is near, for "did you mean".
  std::vector<std::string> suggestions(std::string_view name) const;
  const std::vector<CatalogueEntry>& entries() const { return entries_; }
  // What a user who names no model gets: the first that can be had. The last one also comes from
  // the Python package index.
  static std::vector<std::string> default_models();

 private:
  std::vector<CatalogueEntry> entries_;
};

// A model that is on disk and whole.
struct InstalledModel {
  std::string name;  // "qwen3:0.6b", "hf:owner/repo:file"
  Path path;         // a .gguf file or a folder
  uint64_t bytes = 0;
  std::string sha256;        // of the file, or of the manifest of a folder
  std::string source;        // where it came from, for people
  int64_t installed_at = 0;  // unix seconds
};

struct PullProgress {
  std::string file;
  uint64_t done_bytes = 0, total_bytes = 0;  // over all files of the model
  double bytes_per_second = 0;
  std::string state;  // "connecting", "downloading", "verifying", "joining"
};

struct PullOptions {
  std::function<void(const PullProgress&)> on_progress;  // from any thread, <= 10 times a second
  const std::atomic<bool>* cancel = nullptr;
  int connections = 4;
  std::string hf_endpoint;  // default: $HF_ENDPOINT, else the public one; same for ModelScope
  std::string ms_endpoint;
  std::string hf_token;  // default: $HF_TOKEN

  // Defaults are right for people; tests use small chunks and short waits.
  uint64_t chunk_bytes = uint64_t{16} << 20;
  int64_t retry_base_ms = 500;                              // doubles with each try
  std::string python = "python3";                           // for kPythonPackages
  std::function<Result<uint64_t>(const Path&)> free_bytes;  // default: free_disk_bytes
};

// The data folder: $YUNQI_HOME, else $XDG_DATA_HOME/yunqi, else ~/.local/share/yunqi.
Path yunqi_home();

class Hub {
 public:
  explicit Hub(Path home);

  // Resolves MODEL as DESIGN section 2 says: an existing path, an installed name, else kNotFound
  // with suggestions ("pull it with: yunqi pull NAME").
  Result<InstalledModel> find(std::string_view model) const;
  // Downloads, verifies and registers; returns at once when already installed. Sources are tried
  // in order (3 s each to connect); the error names each and why it failed.
  Result<InstalledModel> pull(std::string_view model, const PullOptions& options = {});
  Result<std::vector<InstalledModel>> list() const;  // newest first
  Status remove(std::string_view model);
  const Path& home() const { return home_; }

 private:
  Path home_;
};

}  // namespace yunqi
