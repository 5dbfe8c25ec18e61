// The catalogue: our JSON in the binary, the user's models.json on top. The order of entries means
// something: the first of a family is what its bare name stands for ("qwen3" is "qwen3:0.6b").
#include "hub/catalogue.h"

#include <algorithm>
#include <initializer_list>

#include "base/json.h"
#include "hub/catalogue_data.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kMaxSuggestions = 5;

// Reads one JSON object's members, keeping the first error with its place.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("want an object", object.type_name());
  }

  void allow(std::initializer_list<std::string_view> names) {
    if (!status_.is_ok()) return;
    for (const auto& [name, value] : object_.as_object()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        fail("unknown member \"" + name.substr(0, 40) + "\"", "it");
      }
    }
  }

  std::string text(std::string_view name, bool required) {
    const Json* value = member(name, required);
    if (!value) return {};
    if (!value->is_string() || value->as_string().size() > kMaxCatalogueText ||
        (required && value->as_string().empty())) {
      fail(fmt::format("{}: want a text of at most {} bytes", name, kMaxCatalogueText),
           value->type_name());
      return {};
    }
    return value->as_string();
  }

  uint64_t count(std::string_view name, uint64_t most) {
    const Json* value = member(name, false);
    if (!value) return 0;
    if (!value->is_int() || value->as_int() < 0 || static_cast<uint64_t>(value->as_int()) > most) {
      fail(fmt::format("{}: want a whole number from 0 to {}", name, most), value->dump());
      return 0;
    }
    return static_cast<uint64_t>(value->as_int());
  }

  bool flag(std::string_view name, bool otherwise) {
    const Json* value = member(name, false);
    if (!value) return otherwise;
    if (!value->is_bool()) {
      fail(fmt::format("{}: want true or false", name), value->type_name());
      return otherwise;
    }
    return value->as_bool();
  }

  const JsonArray* list(std::string_view name, bool required, size_t most) {
    const Json* value = member(name, required);
    if (!value) return nullptr;
    if (!value->is_array() || value->as_array().size() > most) {
      fail(fmt::format("{}: want a list of at most {}", name, most), value->type_name());
      return nullptr;
    }
    return &value->as_array();
  }

  void check(bool good, std::string_view want, std::string_view found) {
    if (!good) fail(want, found);
  }
  void check(const Status& status) {
    if (!status.is_ok() && status_.is_ok()) status_ = status.with_context(where_);
  }
  const Status& status() const { return status_; }
  const std::string& where() const { return where_; }

 private:
  const Json* member(std::string_view name, bool required) {
    if (!status_.is_ok()) return nullptr;
    const Json* value = object_.find(name);
    if (!value && required) fail(fmt::format("want a member \"{}\"", name), "none");
    return value;
  }

  void fail(std::string_view want, std::string_view found) {
    if (!status_.is_ok()) return;
    status_ = error(Code::kInvalidArgument, "{}: {}, found {}", where_, want, found.substr(0, 80));
  }

  const Json& object_;
  const std::string where_;
  Status status_;
};

// "name{}==1.0" for parts 1 .. n.
std::vector<std::string> numbered(const std::string& pattern, uint64_t parts) {
  std::vector<std::string> out;
  const size_t at = pattern.find("{}");
  for (uint64_t part = 1; part <= parts && at != std::string::npos; ++part) {
    out.push_back(std::string(pattern).replace(at, 2, std::to_string(part)));
  }
  return out;
}

// Adds one source, or two for "hubs": Hugging Face, then ModelScope.
Status read_source(const Json& json, std::string where, CatalogueEntry& entry) {
  using Kind = CatalogueSource::Kind;
  Fields fields(json, std::move(where));
  const std::string kind = fields.text("kind", true);
  CatalogueSource source;
  if (kind == "hubs" || kind == "hf" || kind == "ms") {
    fields.allow({"kind", "repo", "file"});
    source.repo = fields.text("repo", true);
    source.file = fields.text("file", false);
    if (fields.status().is_ok()) fields.check(check_repo_name(source.repo));
    if (!source.file.empty()) fields.check(check_file_name(source.file));
    source.kind = kind == "ms" ? Kind::kModelScope : Kind::kHuggingFace;
  } else if (kind == "url") {
    fields.allow({"kind", "url"});
    source.kind = Kind::kUrl;
    source.url = fields.text("url", true);
    if (fields.status().is_ok()) {
      const Result<ModelRef> ref = parse_model_ref(source.url);
      fields.check(ref.status());
      fields.check(ref.is_ok() && ref->kind == ModelRef::Kind::kUrl, "url: want http(s)://",
                   source.url);
    }
  } else if (kind == "python") {
    fields.allow({"kind", "package", "parts", "member", "file"});
    source.kind = Kind::kPythonPackages;
    const std::string pattern = fields.text("package", true);
    source.packages = numbered(pattern, fields.count("parts", kMaxPythonParts));
    source.part_glob = fields.text("member", true);
    source.file = fields.text("file", true);
    fields.check(!source.packages.empty(), "want parts >= 1 and a package with {}", pattern);
    if (fields.status().is_ok()) fields.check(check_file_name(source.file));
    fields.check(!entry.sha256.empty(), "want the entry to have a sha256", "none");
  } else {
    fields.check(false, "kind: want hubs, hf, ms, url or python", kind);
  }
  YQ_RETURN_IF_ERROR(fields.status());
  entry.sources.push_back(source);
  if (kind == "hubs") {
    source.kind = Kind::kModelScope;
    entry.sources.push_back(std::move(source));
  }
  return Status::ok();
}

Result<CatalogueEntry> read_entry(const Json& json, std::string where) {
  Fields fields(json, std::move(where));
  fields.allow({"name", "title", "architecture", "supported", "unsupported_reason", "bytes",
                "sha256", "license", "sources"});
  CatalogueEntry entry;
  entry.name = fields.text("name", true);
  entry.title = fields.text("title", false);
  entry.architecture = fields.text("architecture", false);
  entry.license = fields.text("license", false);
  entry.supported = fields.flag("supported", true);
  entry.unsupported_reason = fields.text("unsupported_reason", !entry.supported);
  entry.bytes = fields.count("bytes", uint64_t{1} << 50);
  entry.sha256 = fields.text("sha256", false);
  fields.check(is_catalogue_name(entry.name),
               "name: want name or name:tag of lower-case letters, digits, '.', '_' and '-'",
               entry.name);
  fields.check(entry.sha256.empty() || is_sha256_hex(entry.sha256),
               "sha256: want 64 lower-case hex digits", entry.sha256);
  const JsonArray* sources = fields.list("sources", entry.supported, kMaxEntrySources);
  fields.check(!entry.supported || (sources && !sources->empty()), "sources: want at least one",
               "none");
  YQ_RETURN_IF_ERROR(fields.status());
  for (size_t i = 0; sources && i < sources->size(); ++i) {
    const std::string place = fmt::format("{} ({}): sources[{}]", fields.where(), entry.name, i);
    YQ_RETURN_IF_ERROR(read_source((*sources)[i], place, entry));
  }
  return entry;
}

// Characters to change, add or drop to make one of the other; bounded by the names' length.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string_view family(std::string_view name) { return name.substr(0, name.find(':')); }

}  // namespace

Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view text, std::string_view where) {
  Result<Json> root = parse_json(text);
  if (!root.is_ok()) return root.status().with_context(where);
  Fields fields(*root, std::string(where));
  fields.allow({"version", "entries"});
  const uint64_t version = fields.count("version", kVersion);
  fields.check(version == kVersion, "version: want 1", "another or none");
  const JsonArray* list = fields.list("entries", true, kMaxCatalogueEntries);
  YQ_RETURN_IF_ERROR(fields.status());
  std::vector<CatalogueEntry> entries;
  for (size_t i = 0; i < list->size(); ++i) {
    YQ_TRY(CatalogueEntry entry, read_entry((*list)[i], fmt::format("{}: entries[{}]", where, i)));
    const bool twice =
        std::any_of(entries.begin(), entries.end(),
                    [&](const CatalogueEntry& other) { return other.name == entry.name; });
    if (twice) {
      return error(Code::kInvalidArgument, "{}: entries[{}]: want each name once, found {} again",
                   where, i, entry.name);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<Catalogue> Catalogue::load(const Path& home) {
  Catalogue catalogue;
  YQ_TRY(catalogue.entries_, parse_catalogue(builtin_catalogue(), "built-in catalogue"));
  const Path path = home / "models.json";
  const Result<std::string> text = read_file(path, kMaxCatalogueBytes);
  if (!text.is_ok()) {
    if (text.status().code() == Code::kNotFound) return catalogue;
    return text.status();
  }
  YQ_TRY(std::vector<CatalogueEntry> own, parse_catalogue(*text, path.string()));
  for (CatalogueEntry& entry : own) {
    const auto known =
        std::find_if(catalogue.entries_.begin(), catalogue.entries_.end(),
                     [&](const CatalogueEntry& other) { return other.name == entry.name; });
    if (known != catalogue.entries_.end()) {
      *known = std::move(entry);
    } else {
      catalogue.entries_.push_back(std::move(entry));
    }
  }
  return catalogue;
}

std::vector<std::string> Catalogue::default_models() {
  return {"qwen3:0.6b", "qwen2.5-coder:0.5b"};
}

const CatalogueEntry* Catalogue::find(std::string_view name) const {
  const CatalogueEntry* first = nullptr;
  for (const CatalogueEntry& entry : entries_) {
    if (entry.name == name) return &entry;
    if (!first && family(entry.name) == name) first = &entry;
  }
  return first;
}

std::vector<std::string> Catalogue::suggestions(std::string_view name) const {
  std::vector<std::pair<size_t, std::string>> near;
  for (const CatalogueEntry& entry : entries_) {
    const size_t whole = edit_distance(name, entry.name);
    const size_t bare = edit_distance(family(name), family(entry.name));
    if (whole <= 2 || bare <= 1 || entry.name.find(name) != std::string::npos) {
      near.emplace_back(whole + (entry.supported ? 0 : 2), entry.name);
    }
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (const auto& [distance, other] : near) {
    if (out.size() < kMaxSuggestions) out.push_back(other);
  }
  return out;
}

}  // namespace yunqi
