// The models on this disk: one folder each under HOME/models with its files and model.json. A
// folder whose name starts with a dot is not a model; half pulls live there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/file_lock.h"
#include "base/result.h"
#include "hub/hub.h"
#include "hub/pull_context.h"

namespace yunqi {

inline constexpr size_t kMaxInstalledModels = 4'096;
inline constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 20;

class ModelStore {
 public:
  explicit ModelStore(const Path& home) : root_(home / "models") {}

  // Where a pull of this canonical name works until install().
  Path partial_folder(std::string_view name) const;
  // Excludes other pulls and removals of this model; waits while keep_waiting says so.
  Result<FileLock> lock(std::string_view name, const std::function<bool()>& keep_waiting) const;

  // The folder becomes the model, all at once. Holding the lock is the caller's duty, as below.
  Result<InstalledModel> install(const std::string& name, const FetchedModel& model,
                                 const Path& folder, int64_t now) const;
  // kNotFound when there is none, kBadFile when its files are not as its manifest says.
  Result<InstalledModel> find(std::string_view name) const;
  // Newest first; broken ones are left out with a warning in the log.
  Result<std::vector<InstalledModel>> list() const;
  // The model and any half pull of it; kNotFound when there was neither.
  Status remove(std::string_view name) const;

 private:
  Result<InstalledModel> read_manifest(const Path& folder) const;

  const Path root_;
};

}  // namespace yunqi
