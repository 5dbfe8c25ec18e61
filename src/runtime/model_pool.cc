// See model_pool.h.
#include "runtime/model_pool.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

bool answers_to(const ModelPool::Entry& entry, std::string_view name) {
  return entry.model->id() == name ||
         std::find(entry.aliases.begin(), entry.aliases.end(), name) != entry.aliases.end();
}

}  // namespace

Status ModelPool::add(std::shared_ptr<LoadedModel> model, std::vector<std::string> aliases) {
  std::vector<std::string> names = aliases;
  names.push_back(model->id());
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (name.empty()) return error(Code::kInvalidArgument, "a model's name can't be empty");
    if (std::find(names.begin() + static_cast<ptrdiff_t>(i) + 1, names.end(), name) !=
        names.end()) {
      return error(Code::kInvalidArgument, "the model name {} is given twice", name);
    }
    for (const Entry& entry : entries_) {
      if (!answers_to(entry, name)) continue;
      return error(Code::kInvalidArgument, "the model name {} is already in use", name);
    }
  }
  entries_.push_back({std::move(model), std::move(aliases)});
  return Status::ok();
}

Result<std::shared_ptr<LoadedModel>> ModelPool::find(std::string_view name) const {
  std::lock_guard lock(mutex_);
  if (name.empty() && !entries_.empty()) return entries_.front().model;
  std::string known;
  for (const Entry& entry : entries_) {
    if (answers_to(entry, name)) return entry.model;
    known += (known.empty() ? "" : ", ") + entry.model->id();
    for (const std::string& alias : entry.aliases) known += ", " + alias;
  }
  return error(Code::kNotFound, "the model {} does not exist here; this server has {}", name, known)
      .at("model");
}

std::vector<ModelPool::Entry> ModelPool::entries() const {
  std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace yunqi
