// The loaded models of a server, by the names clients use. Filled at start; thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/loaded_model.h"

namespace yunqi {

class ModelPool {
 public:
  // `aliases` are further names. kInvalidArgument when a name is taken.
  Status add(std::shared_ptr<LoadedModel> model, std::vector<std::string> aliases = {});
  // By id or alias; an empty name is the first model added. kNotFound lists what there is.
  Result<std::shared_ptr<LoadedModel>> find(std::string_view name) const;
  struct Entry {
    std::shared_ptr<LoadedModel> model;
    std::vector<std::string> aliases;
  };
  std::vector<Entry> entries() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // guarded by mutex_
};

}  // namespace yunqi
