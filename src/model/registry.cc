// The architectures that can be loaded: one line each.
#include "model/registry.h"

#include <algorithm>

#include "base/utf8.h"

namespace yunqi {
namespace {

constexpr const ModelEntry* kModels[] = {
    &kQwen2,
    &kQwen3,
};

constexpr size_t kMaxNameBytes = 128;

std::string architecture_of(const Json& config) {
  const Json* list = config.find("architectures");
  if (list == nullptr || !list->is_array() || list->as_array().empty()) return "";
  const Json& first = list->as_array().front();
  return first.is_string() ? sanitize_utf8(first.as_string().substr(0, kMaxNameBytes)) : "";
}

std::string supported_text() {
  std::string out;
  for (const ModelEntry* entry : kModels) {
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", entry->architecture, entry->models);
  }
  return out;
}

}  // namespace

Result<const ModelEntry*> find_model_entry(const Json& config) {
  const std::string architecture = architecture_of(config);
  if (architecture.empty()) {
    return error(Code::kBadFile,
                 "config: architectures: want a list with the model's architecture; supported: {}",
                 supported_text());
  }
  for (const ModelEntry* entry : kModels) {
    if (entry->architecture == architecture) return entry;
  }
  return error(Code::kUnsupported, "architecture {} is not supported; supported: {}",
               Json(architecture).dump(), supported_text());
}

Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, Device& device,
                                          const LoadOptions& options) {
  YQ_TRY(const ModelEntry* entry, find_model_entry(checkpoint.config()));
  return entry->load(checkpoint, device, options);
}

Result<uint64_t> estimate_weight_bytes(const Checkpoint& checkpoint) {
  YQ_TRY(const ModelEntry* entry, find_model_entry(checkpoint.config()));
  FieldChecker checker(checkpoint);
  YQ_RETURN_IF_ERROR(entry->walk(checkpoint.config(), checker));
  YQ_RETURN_IF_ERROR(checker.finish());
  return checker.bytes();
}

OpsLimits ops_limits(const Model& model, const LoadOptions& options) {
  const ModelInfo& info = model.info();
  return {.max_rows = options.max_rows,
          .max_columns = info.widest_input,
          .max_heads = info.query_heads,
          .max_head_dim = info.head_dim,
          .max_context = info.max_context};
}

std::vector<std::string_view> supported_architectures() {
  std::vector<std::string_view> names;
  for (const ModelEntry* entry : kModels) names.push_back(entry->architecture);
  return names;
}

}  // namespace yunqi
