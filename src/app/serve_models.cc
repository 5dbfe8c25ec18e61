// See serve_models.h.
#include "app/serve_models.h"

#include <algorithm>
#include <utility>

#include "app/open_model.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "hub/hub.h"

namespace yunqi {
namespace {

// Of what is free at the start, for models that come and go.
constexpr uint64_t kFreeShareNumerator = 9, kFreeShareDenominator = 10;

Result<std::shared_ptr<LoadedModel>> load_logged(const Path& path, const std::string& id,
                                                 const ServeResources& resources,
                                                 const RuntimeOptions& options) {
  const int64_t start = system_clock().now_ns();
  YQ_TRY(std::shared_ptr<LoadedModel> model, LoadedModel::load(path, id, resources.device, options,
                                                               system_clock(), &resources.metrics));
  const LoadedModel::Parts& parts = model->parts();
  log_info(
      "loaded {} in {} ms: {}, {:.0f} M parameters, {:.0f} MB of weights, {:.0f} MB for keys "
      "and values, context {}, {}",
      id, (system_clock().now_ns() - start) / 1'000'000, parts.architecture,
      static_cast<double>(parts.parameters) / 1e6, static_cast<double>(parts.weight_bytes) / 1e6,
      static_cast<double>(parts.kv_bytes) / 1e6, parts.max_context, parts.fingerprint);
  if (!parts.template_error.empty()) {
    log_warning("{}: chat is off: {}", id, parts.template_error);
  }
  return model;
}

// What is in the store beside the models named.
Result<std::vector<InstalledModel>> other_models(const std::vector<InstalledModel>& named) {
  YQ_TRY(const std::vector<InstalledModel> installed, Hub(yunqi_home()).list());
  std::vector<InstalledModel> out;
  for (const InstalledModel& model : installed) {
    const bool known = std::any_of(named.begin(), named.end(), [&](const InstalledModel& other) {
      return other.path == model.path || served_name(other) == served_name(model);
    });
    if (!known) out.push_back(model);
  }
  return out;
}

}  // namespace

Result<ModelPoolOptions> pool_options(const ServeConfig& config) {
  ModelPoolOptions out;
  out.load_wait_ms = int64_t{config.load_timeout_s} * 1000;
  if (!config.model_memory.empty()) {
    YQ_TRY(out.memory_bytes, parse_bytes(config.model_memory));
  } else if (config.on_demand || config.installed) {
    out.memory_bytes = available_memory_bytes() / kFreeShareDenominator * kFreeShareNumerator;
  }
  return out;
}

Status declare_models(const ServeConfig& config, const ServeResources& resources, ModelPool& pool) {
  YQ_TRY(RuntimeOptions options, config.model.runtime_options());
  options.engine = engine_options(config);
  std::vector<InstalledModel> models;
  if (!config.models.empty() || !config.installed) {
    std::vector<std::string> names = config.models;
    if (names.empty()) names.emplace_back();
    for (const std::string& name : names) {
      YQ_TRY(InstalledModel model, resolve_model(name));
      models.push_back(std::move(model));
    }
  }
  const size_t named = models.size();
  if (config.installed) {
    YQ_TRY(const std::vector<InstalledModel> others, other_models(models));
    models.insert(models.end(), others.begin(), others.end());
  }
  if (models.empty()) {
    return error(Code::kNotFound, "no model is installed; pull one with: yunqi pull NAME");
  }
  std::vector<std::string> pinned;
  for (size_t i = 0; i < models.size(); ++i) {
    ModelSource source;
    source.id = served_name(models[i]);
    if (i == 0) source.aliases = config.aliases;
    source.bytes = models[i].bytes + options.kv_bytes;
    source.pinned = i < named && !config.on_demand;
    source.keep_alive_ms = int64_t{config.keep_alive_s} * 1000;
    RuntimeOptions own = options;
    // A model that is alone has the device to itself.
    if (models.size() > 1) own.engine.gate = resources.arbiter.make_gate();
    source.load = [path = models[i].path, id = source.id, resources,
                   own](std::shared_ptr<LoadProgress> progress) {
      RuntimeOptions with_progress = own;
      with_progress.progress = std::move(progress);
      return load_logged(path, id, resources, with_progress);
    };
    if (source.pinned) pinned.push_back(source.id);
    YQ_RETURN_IF_ERROR(pool.declare(std::move(source)));
  }
  for (const std::string& id : pinned) YQ_RETURN_IF_ERROR(pool.load(id).status());
  return Status::ok();
}

}  // namespace yunqi
