// What every source needs to know about the pull it works for: options, progress, folders. Lives
// for one pull; shared by its threads, which only read it (the meter locks itself).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "hub/hub.h"
#include "hub/progress.h"

namespace yunqi {

// A file that is whole, verified and on the disk.
struct StoredFile {
  std::string name;  // relative, forward slashes
  uint64_t bytes = 0;
  std::string sha256;
};

struct FetchedModel {
  std::vector<StoredFile> files;
  bool is_folder = false;  // the model is the folder, not its first file
  std::string source;      // for people: "hf:Qwen/Qwen3-0.6B-GGUF"
};

struct PullContext {
  const PullOptions& options;
  ProgressMeter& meter;
  Path work;                    // half files and their states
  Path model;                   // whole files; becomes the model's folder in the store
  uint64_t expected_bytes = 0;  // of the model as the catalogue says, 0 when it does not

  bool cancelled() const {
    return options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed);
  }
  // For the callbacks that ask about 10 times a second whether to go on.
  auto keep_going() const {
    return [this] {
      meter.tick();
      return !cancelled();
    };
  }
  // kNoResources unless `bytes` more fit beside a reserve.
  Status check_disk(uint64_t bytes) const;
};

// Hashes the file while showing "verifying"; kCancelled when asked to stop.
Result<std::string> hash_file(const Path& path, const std::string& name,
                              const PullContext& context);

}  // namespace yunqi
