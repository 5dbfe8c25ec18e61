// Install is one rename of a finished folder, remove is one rename away from the list: at any
// moment a model is there whole or not at all.
#include "hub/store.h"

#include <algorithm>
#include <system_error>

#include "base/json.h"
#include "base/log.h"
#include "base/output_file.h"
#include "base/sha256.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

constexpr int64_t kVersion = 1;
constexpr const char* kManifest = "model.json";

Status bad_manifest(const Path& folder, std::string_view what) {
  return error(Code::kBadFile, "{}: {}; remove it with yunqi rm and pull it again", folder.string(),
               what);
}

Json manifest_of(const std::string& name, const FetchedModel& model, int64_t now) {
  Json files = Json::array();
  uint64_t total = 0;
  std::string lines;
  for (const StoredFile& file : model.files) {
    files.push_back(
        Json::object({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}}));
    total += file.bytes;
    lines += file.sha256 + "  " + file.name + "\n";
  }
  // A folder's hash is that of its list of hashes, as `sha256sum` prints it.
  const bool one_file = !model.is_folder && model.files.size() == 1;
  const std::string digest = one_file ? model.files[0].sha256 : to_hex(sha256(lines));
  return Json::object({{"version", kVersion},
                       {"name", name},
                       {"path", model.is_folder ? std::string() : model.files[0].name},
                       {"bytes", total},
                       {"sha256", digest},
                       {"source", model.source},
                       {"installed_at", now},
                       {"files", std::move(files)}});
}

const Json* member(const Json& root, std::string_view key, bool (Json::*is)() const) {
  const Json* value = root.find(key);
  return value && (value->*is)() ? value : nullptr;
}

// The manifest lies on the user's disk: a name in it may not lead out of the folder.
Status check_files(const Path& folder, const Json& files) {
  if (files.as_array().empty() || files.as_array().size() > kMaxModelFiles) {
    return bad_manifest(folder, "model.json lists no files or too many");
  }
  for (const Json& file : files.as_array()) {
    const Json* name = member(file, "name", &Json::is_string);
    const Json* bytes = member(file, "bytes", &Json::is_int);
    if (!name || !bytes || !check_file_name(name->as_string()).is_ok()) {
      return bad_manifest(folder, "model.json lists a file wrongly");
    }
    std::error_code failed;
    const Path path = folder / name->as_string();
    const uint64_t found = std::filesystem::file_size(path, failed);
    if (failed || found != static_cast<uint64_t>(bytes->as_int())) {
      return bad_manifest(folder, name->as_string() + " is missing or has another size");
    }
  }
  return Status::ok();
}

// Deletes whatever a former try left that this model does not have.
void remove_strangers(const Path& folder, const FetchedModel& model) {
  std::error_code failed;
  std::vector<Path> strangers;
  for (std::filesystem::recursive_directory_iterator it(folder, failed), end; !failed && it != end;
       it.increment(failed)) {
    if (it->is_directory() && !it->is_symlink()) continue;
    const std::string name = it->path().lexically_relative(folder).generic_string();
    const bool ours = std::any_of(model.files.begin(), model.files.end(),
                                  [&](const StoredFile& file) { return file.name == name; });
    if (!ours) strangers.push_back(it->path());
  }
  for (const Path& path : strangers) std::filesystem::remove(path, failed);
}

}  // namespace

Path ModelStore::partial_folder(std::string_view name) const {
  return root_ / ".partial" / store_folder_name(name);
}

Result<FileLock> ModelStore::lock(std::string_view name,
                                  const std::function<bool()>& keep_waiting) const {
  return FileLock::acquire(root_ / ".locks" / (store_folder_name(name) + ".lock"), keep_waiting);
}

Result<InstalledModel> ModelStore::read_manifest(const Path& folder) const {
  YQ_TRY(const std::string text, read_file(folder / kManifest, kMaxManifestBytes));
  const Result<Json> root = parse_json(text);
  if (!root.is_ok()) return bad_manifest(folder, "model.json is not JSON");
  const Json* version = member(*root, "version", &Json::is_int);
  const Json* name = member(*root, "name", &Json::is_string);
  const Json* path = member(*root, "path", &Json::is_string);
  const Json* bytes = member(*root, "bytes", &Json::is_int);
  const Json* digest = member(*root, "sha256", &Json::is_string);
  const Json* source = member(*root, "source", &Json::is_string);
  const Json* installed_at = member(*root, "installed_at", &Json::is_int);
  const Json* files = member(*root, "files", &Json::is_array);
  if (!version || version->as_int() != kVersion || !name || !path || !bytes || !digest || !source ||
      !installed_at || !files) {
    return bad_manifest(folder, "model.json has not the members of version 1");
  }
  if (store_folder_name(name->as_string()) != folder.filename().string()) {
    return bad_manifest(folder, "model.json is another model's");
  }
  YQ_RETURN_IF_ERROR(check_files(folder, *files));
  const std::string& file = path->as_string();
  if (!file.empty() && !check_file_name(file).is_ok()) {
    return bad_manifest(folder, "model.json names a path outside its folder");
  }
  return InstalledModel{name->as_string(),
                        file.empty() ? folder : folder / file,
                        static_cast<uint64_t>(bytes->as_int()),
                        digest->as_string(),
                        source->as_string(),
                        installed_at->as_int()};
}

Result<InstalledModel> ModelStore::install(const std::string& name, const FetchedModel& model,
                                           const Path& folder, int64_t now) const {
  if (model.files.empty()) return error(Code::kInternal, "{}: no files to install", name);
  remove_strangers(folder, model);
  const Path target = root_ / store_folder_name(name);
  YQ_RETURN_IF_ERROR(
      write_file_atomically(folder / kManifest, manifest_of(name, model, now).dump_pretty()));
  std::error_code ignored;
  // Only a broken model can be there: a whole one is never pulled again.
  std::filesystem::remove_all(target, ignored);
  YQ_RETURN_IF_ERROR(rename_durably(folder, target));
  std::filesystem::remove_all(partial_folder(name), ignored);
  return read_manifest(target);
}

Result<InstalledModel> ModelStore::find(std::string_view name) const {
  return read_manifest(root_ / store_folder_name(name));
}

Result<std::vector<InstalledModel>> ModelStore::list() const {
  std::vector<InstalledModel> models;
  std::error_code failed;
  if (!std::filesystem::exists(root_, failed)) return models;
  for (const auto& entry : std::filesystem::directory_iterator(root_, failed)) {
    const std::string folder = entry.path().filename().string();
    std::error_code ignored;
    if (folder[0] == '.' || !entry.is_directory(ignored)) continue;
    if (models.size() >= kMaxInstalledModels) {
      log_warning("{}: more than {} models, the rest is not listed", root_.string(),
                  kMaxInstalledModels);
      break;
    }
    Result<InstalledModel> model = read_manifest(entry.path());
    if (model.is_ok()) {
      models.push_back(std::move(*model));
    } else {
      log_warning("not listed: {}", model.status().message());
    }
  }
  if (failed) return error(Code::kPermission, "{}: {}", root_.string(), failed.message());
  std::sort(models.begin(), models.end(), [](const InstalledModel& a, const InstalledModel& b) {
    if (a.installed_at != b.installed_at) return a.installed_at > b.installed_at;
    return a.name < b.name;
  });
  return models;
}

Status ModelStore::remove(std::string_view name) const {
  const Path folder = root_ / store_folder_name(name);
  const Path partial = partial_folder(name);
  std::error_code failed;
  const bool installed = std::filesystem::exists(std::filesystem::symlink_status(folder, failed));
  const bool half = std::filesystem::exists(partial, failed);
  if (!installed && !half) {
    return error(Code::kNotFound, "{}: not installed; yunqi list shows what is", name);
  }
  std::filesystem::remove_all(partial, failed);
  if (!installed) return Status::ok();
  // Out of the list first; remove_all follows no symlink, so nothing outside the store goes.
  std::filesystem::create_directories(partial.parent_path(), failed);
  YQ_RETURN_IF_ERROR(rename_durably(folder, partial));
  std::filesystem::remove_all(partial, failed);
  if (failed) {
    return error(Code::kPermission, "{}: can't delete all of it: {}", partial.string(),
                 failed.message());
  }
  return Status::ok();
}

}  // namespace yunqi
