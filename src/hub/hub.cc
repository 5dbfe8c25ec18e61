// Names to models: resolution, and a pull that tries one source after the other and installs the
// first that is whole.
#include "hub/hub.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/log.h"
#include "hub/model_ref.h"
#include "hub/progress.h"
#include "hub/pull_context.h"
#include "hub/sources.h"
#include "hub/store.h"

namespace yunqi {
namespace {

// What MODEL means: its canonical name and, unless it is a path, where it comes from.
struct Target {
  ModelRef ref;
  CatalogueEntry entry;  // made up for a repository or an URL
};

Status not_in_catalogue(const Catalogue& catalogue, const std::string& name) {
  std::string near;
  for (const std::string& other : catalogue.suggestions(name)) {
    near += (near.empty() ? "" : ", ") + other;
  }
  return error(Code::kNotFound,
               "{}: no such model in the catalogue{}{}{}; a model is a path, a "
               "name, hf:owner/repo[:file], ms:owner/repo[:file] or a URL",
               name, near.empty() ? "" : "; did you mean ", near, near.empty() ? "" : "?");
}

// A repository or an URL as a catalogue entry with one source.
CatalogueEntry entry_of(const ModelRef& ref) {
  CatalogueEntry entry;
  entry.name = ref.name;
  CatalogueSource source;
  source.kind = ref.kind == ModelRef::Kind::kHuggingFace  ? CatalogueSource::Kind::kHuggingFace
                : ref.kind == ModelRef::Kind::kModelScope ? CatalogueSource::Kind::kModelScope
                                                          : CatalogueSource::Kind::kUrl;
  source.repo = ref.repo;
  source.file = ref.kind == ModelRef::Kind::kUrl ? "" : ref.file;
  source.url = ref.url;
  entry.sources.push_back(std::move(source));
  return entry;
}

Result<Target> resolve(const Path& home, std::string_view model) {
  YQ_TRY(ModelRef ref, parse_model_ref(model));
  if (ref.kind == ModelRef::Kind::kPath) return Target{std::move(ref), {}};
  if (ref.kind != ModelRef::Kind::kCatalogue) {
    CatalogueEntry entry = entry_of(ref);
    return Target{std::move(ref), std::move(entry)};
  }
  YQ_TRY(const Catalogue catalogue, Catalogue::load(home));
  const CatalogueEntry* entry = catalogue.find(ref.name);
  if (!entry) return not_in_catalogue(catalogue, ref.name);
  ref.name = entry->name;
  return Target{std::move(ref), *entry};
}

Result<InstalledModel> find_path(const std::string& text) {
  const Path path(text);
  std::error_code failed;
  InstalledModel model{text, path, 0, "", "path", 0};
  if (std::filesystem::is_directory(path, failed)) {
    for (const auto& entry : std::filesystem::directory_iterator(path, failed)) {
      std::error_code gone;
      const uint64_t bytes = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
      if (!gone) model.bytes += bytes;
    }
    return model;
  }
  model.bytes = std::filesystem::file_size(path, failed);
  if (failed) return error(Code::kNotFound, "{}: {}", text, failed.message());
  return model;
}

// Errors that another source could not cure.
bool ends_pull(Code code) { return code == Code::kCancelled || code == Code::kNoResources; }

Result<FetchedModel> fetch_first(const CatalogueEntry& entry, const PullContext& context) {
  std::string reasons;
  Status last;
  for (const CatalogueSource& source : entry.sources) {
    const uint64_t before = context.meter.done_bytes();
    Result<FetchedModel> model = fetch_from_source(source, entry.sha256, context);
    if (model.is_ok() || ends_pull(model.status().code())) return model;
    context.meter.take_back(context.meter.done_bytes() - before);
    last = model.status();
    log_debug("{}: {}: {}", entry.name, source_text(source), last.message());
    reasons += (reasons.empty() ? "" : " | ") + source_text(source) + ": " + last.message();
  }
  if (entry.sources.empty()) {
    return error(Code::kNotFound, "{}: the catalogue names no source", entry.name);
  }
  const Code code = entry.sources.size() == 1 ? last.code() : Code::kUnavailable;
  return error(code, "{}: no source could be fetched: {}", entry.name, reasons);
}

}  // namespace

Path yunqi_home() {
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (const std::string own = set("YUNQI_HOME"); !own.empty()) return own;
  if (const std::string data = set("XDG_DATA_HOME"); !data.empty()) return Path(data) / "yunqi";
  const std::string user = set("HOME");
  return Path(user.empty() ? "." : user) / ".local" / "share" / "yunqi";
}

Hub::Hub(Path home) : home_(std::move(home)) {}

Result<InstalledModel> Hub::find(std::string_view model) const {
  const Result<Target> target = resolve(home_, model);
  const ModelStore store(home_);
  if (!target.is_ok()) {
    // A model may outlive its entry in the user's catalogue.
    const Result<ModelRef> ref = parse_model_ref(model);
    if (!ref.is_ok()) return target.status();
    Result<InstalledModel> found = store.find(ref->name);
    return found.is_ok() ? found : target.status();
  }
  if (target->ref.kind == ModelRef::Kind::kPath) return find_path(target->ref.name);
  Result<InstalledModel> found = store.find(target->ref.name);
  if (found.is_ok() || found.status().code() != Code::kNotFound) return found;
  return error(Code::kNotFound, "{}: not installed; pull it with: yunqi pull {}", target->ref.name,
               target->ref.name);
}

Result<InstalledModel> Hub::pull(std::string_view model, const PullOptions& options) {
  YQ_TRY(const Target target, resolve(home_, model));
  if (target.ref.kind == ModelRef::Kind::kPath) return find_path(target.ref.name);
  const std::string& name = target.ref.name;
  const ModelStore store(home_);
  if (Result<InstalledModel> found = store.find(name); found.is_ok()) return found;
  if (!target.entry.supported) {
    return error(Code::kUnsupported, "{}: {}", name, target.entry.unsupported_reason);
  }

  ProgressMeter meter(options.on_progress, system_clock());
  const Path partial = store.partial_folder(name);
  const PullContext context{options, meter, partial / "work", partial / "model",
                            target.entry.bytes};
  const auto waiting = [&] {
    meter.begin(name, "waiting for another pull");
    return !context.cancelled();
  };
  YQ_TRY(const FileLock lock, store.lock(name, waiting));
  if (Result<InstalledModel> found = store.find(name); found.is_ok()) return found;

  std::error_code failed;
  std::filesystem::create_directories(context.work, failed);
  if (!failed) std::filesystem::create_directories(context.model, failed);
  if (failed) return error(Code::kPermission, "{}: {}", partial.string(), failed.message());
  YQ_TRY(const FetchedModel fetched, fetch_first(target.entry, context));
  return store.install(name, fetched, context.model, system_clock().unix_seconds());
}

Result<std::vector<InstalledModel>> Hub::list() const { return ModelStore(home_).list(); }

Status Hub::remove(std::string_view model) {
  YQ_TRY(const ModelRef ref, parse_model_ref(model));
  if (ref.kind == ModelRef::Kind::kPath) {
    return error(Code::kInvalidArgument,
                 "{}: want the name of an installed model, found a path; delete the file yourself",
                 ref.name);
  }
  const Result<Target> target = resolve(home_, model);
  const std::string name = target.is_ok() ? target->ref.name : ref.name;
  const ModelStore store(home_);
  Result<FileLock> lock = store.lock(name, [] { return false; });
  if (lock.status().code() == Code::kCancelled) {
    return error(Code::kUnavailable, "{}: it is being pulled; stop that first", name);
  }
  if (!lock.is_ok()) return lock.status();
  return store.remove(name);
}

}  // namespace yunqi
