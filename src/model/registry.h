// What an architecture is to the rest of model/: its name and two functions. The table is in
// registry.cc; entries are defined beside their architectures.
#pragma once

#include <memory>
#include <string_view>

#include "model/fields.h"
#include "model/model.h"

namespace yunqi {

struct ModelEntry {
  std::string_view architecture;  // config.json: architectures[0]
  std::string_view models;        // for people
  // Verifies and loads a checkpoint of this architecture.
  Result<std::unique_ptr<Model>> (*load)(const Checkpoint& checkpoint, Device& device,
                                         const LoadOptions& options);
  // Walks every weight that a model with this config has, in the order of the forward pass.
  Status (*walk)(const Json& config, FieldVisitor& visitor);
};

extern const ModelEntry kQwen2;
extern const ModelEntry kQwen3;

// The entry of the config's architecture; kUnsupported names it and what is supported.
Result<const ModelEntry*> find_model_entry(const Json& config);

}  // namespace yunqi
