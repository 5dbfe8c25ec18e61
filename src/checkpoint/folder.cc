// A Hugging Face folder as a Checkpoint: config.json, tokenizer and template files, and its
// safetensors weights. Formats that can carry code are refused by name, never read.
#include <algorithm>
#include <optional>

#include "base/utf8.h"
#include "checkpoint/assembled.h"
#include "checkpoint/limits.h"
#include "checkpoint/plain_name.h"
#include "checkpoint/safetensors.h"

namespace yunqi {
namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kWeightsName = "model.safetensors";

struct FolderEntry {
  std::string name;
  uint64_t bytes = 0;
};

// The folder's regular files (symlinks to them too: model caches are made of those), by name.
Result<std::vector<FolderEntry>> list_files(const Path& folder) {
  std::vector<FolderEntry> out;
  std::error_code failure;
  std::filesystem::directory_iterator entry(folder, failure);
  for (; !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    if (out.size() == kMaxFolderEntries) {
      return error(Code::kTooLarge, "{}: want at most {} files", folder.string(),
                   kMaxFolderEntries);
    }
    const uint64_t bytes = entry->file_size(ignored);
    out.push_back({entry->path().filename().string(), ignored ? 0 : bytes});
  }
  if (failure) {
    return error(Code::kNotFound, "{}: can't list it: {}", folder.string(), failure.message());
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Json list_json(const std::vector<FolderEntry>& files) {
  JsonArray out;
  for (const FolderEntry& file : files) {
    out.push_back(Json::object({{"name", sanitize_utf8(file.name)}, {"bytes", file.bytes}}));
  }
  return out;
}

bool has_file(const std::vector<FolderEntry>& files, std::string_view name) {
  return std::any_of(files.begin(), files.end(),
                     [&](const auto& file) { return file.name == name; });
}

// Reads the pieces of one folder; lives for one open.
class FolderReader {
 public:
  FolderReader(const Path& folder, std::vector<FolderEntry> files)
      : folder_(folder), files_(std::move(files)) {}

  Result<std::unique_ptr<Checkpoint>> read(std::string_view only) {
    parts_.format = "safetensors";
    parts_.metadata = Json::object({{"files", list_json(files_)}});
    YQ_TRY(auto config, read_json("config.json", kMaxConfigBytes));
    if (!config) {
      return error(Code::kNotFound, "{}: config.json is missing; want a model's whole folder",
                   folder_.string());
    }
    parts_.config = *std::move(config);
    YQ_TRY(auto generation, read_json("generation_config.json", kMaxConfigBytes));
    if (generation) parts_.generation_config = *std::move(generation);
    YQ_RETURN_IF_ERROR(read_tokenizer());
    YQ_RETURN_IF_ERROR(read_chat_template());
    YQ_RETURN_IF_ERROR(read_weights(only));
    auto out = assemble_checkpoint(std::move(parts_));
    if (!out.is_ok()) return out.status().with_context(folder_.string());
    return out;
  }

 private:
  // nullopt when there is no such file.
  Result<std::optional<std::string>> read_text(std::string_view name, uint64_t max_bytes) const {
    if (!has_file(files_, name)) return std::optional<std::string>();
    YQ_TRY(auto text, read_file(folder_ / name, max_bytes));
    return std::optional<std::string>(std::move(text));
  }

  // As read_text; the file must hold one object.
  Result<std::optional<Json>> read_json(std::string_view name, uint64_t max_bytes) const {
    YQ_TRY(const auto text, read_text(name, max_bytes));
    if (!text) return std::optional<Json>();
    auto json = parse_json(*text);
    if (!json.is_ok()) return bad(name, json.status().message());
    if (!json->is_object()) {
      return bad(name, fmt::format("want an object, found {}", json->type_name()));
    }
    return std::optional<Json>(std::move(json).value());
  }

  Status bad(std::string_view name, std::string_view what) const {
    return error(Code::kBadFile, "{}: {}", (folder_ / name).string(), what);
  }

  Status read_tokenizer() {
    struct Part {
      std::string_view name;
      uint64_t max_bytes;
      std::string TokenizerFiles::*target;
    };
    constexpr Part kParts[] = {
        {"tokenizer.json", kMaxTokenizerBytes, &TokenizerFiles::tokenizer_json},
        {"vocab.json", kMaxTokenizerBytes, &TokenizerFiles::vocab_json},
        {"merges.txt", kMaxTokenizerBytes, &TokenizerFiles::merges_txt},
        {"tokenizer_config.json", kMaxTokenizerConfigBytes, &TokenizerFiles::tokenizer_config_json},
    };
    for (const Part& part : kParts) {
      const bool older_pair = part.name == "vocab.json" || part.name == "merges.txt";
      if (older_pair && !parts_.tokenizer.tokenizer_json.empty()) continue;
      YQ_TRY(auto text, read_text(part.name, part.max_bytes));
      if (text) parts_.tokenizer.*part.target = *std::move(text);
    }
    return Status::ok();
  }

  // chat_template.jinja, else tokenizer_config.json's "chat_template": a text, or a list of named
  // ones of which "default" counts.
  Status read_chat_template() {
    YQ_TRY(auto file, read_text("chat_template.jinja", kMaxChatTemplateBytes));
    if (file) {
      if (!is_valid_utf8(*file)) return bad("chat_template.jinja", "the text is not UTF-8");
      parts_.chat_template = *std::move(file);
      return Status::ok();
    }
    YQ_TRY(const auto config, read_json("tokenizer_config.json", kMaxTokenizerConfigBytes));
    const Json* found = config ? config->find("chat_template") : nullptr;
    if (found == nullptr || found->is_null()) return Status::ok();
    if (found->is_array()) {
      const Json* chosen = nullptr;
      for (const Json& item : found->as_array()) {
        const Json* name = item.find("name");
        if (name != nullptr && name->is_string() && name->as_string() == "default") {
          chosen = item.find("template");
        }
      }
      if (chosen == nullptr) return Status::ok();
      found = chosen;
    }
    if (!found->is_string()) {
      return bad("tokenizer_config.json", "chat_template: want a string or a list of named ones");
    }
    if (found->as_string().size() > kMaxChatTemplateBytes) {
      return error(Code::kTooLarge, "{}: chat_template: want at most {} bytes, found {}",
                   (folder_ / "tokenizer_config.json").string(), kMaxChatTemplateBytes,
                   found->as_string().size());
    }
    parts_.chat_template = found->as_string();
    return Status::ok();
  }

  Status read_weights(std::string_view only) {
    if (!only.empty()) {
      // A part of an indexed set stands for the whole set.
      YQ_TRY(const auto map, read_index());
      const auto lists_it = [&](const JsonMember& member) {
        return member.second.is_string() && member.second.as_string() == only;
      };
      if (map && std::any_of(map->begin(), map->end(), lists_it)) return read_shards(*map);
      return read_shard(only);
    }
    if (has_file(files_, kWeightsName)) return read_shard(kWeightsName);
    YQ_TRY(const auto map, read_index());
    if (map) return read_shards(*map);
    YQ_TRY(const auto name, sole_weight_file());
    return read_shard(name);
  }

  // The index's "weight_map": shard names by tensor name.
  Result<std::optional<JsonObject>> read_index() const {
    YQ_TRY(auto index, read_json(kIndexName, kMaxIndexBytes));
    if (!index) return std::optional<JsonObject>();
    Json* map = index->find("weight_map");
    if (map == nullptr || !map->is_object()) return bad(kIndexName, "want an object weight_map");
    if (map->as_object().size() > kMaxTensors) {
      return error(Code::kTooLarge, "{}: want at most {} tensors, found {}",
                   (folder_ / kIndexName).string(), kMaxTensors, map->as_object().size());
    }
    return std::optional<JsonObject>(std::move(map->as_object()));
  }

  Result<std::string> sole_weight_file() const {
    std::vector<std::string> names;
    std::string with_code;
    for (const FolderEntry& file : files_) {
      const std::string extension = Path(file.name).extension().string();
      if (extension == ".safetensors") names.push_back(file.name);
      for (const std::string_view code : {".bin", ".pt", ".pth", ".pkl", ".ckpt"}) {
        if (extension == code) with_code = file.name;
      }
    }
    if (names.size() == 1) return names.front();
    if (names.size() > 1) {
      return error(Code::kBadFile, "{}: {} safetensors files but no {} that says what is in them",
                   folder_.string(), names.size(), kIndexName);
    }
    if (!with_code.empty()) {
      return error(Code::kUnsupported,
                   "{}: only {}: pickled weights can carry code and are not read; want safetensors "
                   "or GGUF",
                   folder_.string(), sanitize_utf8(with_code));
    }
    return error(Code::kNotFound, "{}: no weights: want *.safetensors", folder_.string());
  }

  // Only a plain file name in this folder may come out of an index.
  Status check_shard_name(std::string_view name) const {
    const bool plain = name.size() <= 255 &&
                       name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
    if (plain && !name.starts_with('.') && name.ends_with(".safetensors")) return Status::ok();
    return bad(kIndexName, fmt::format("{} is no name of a safetensors file in this folder",
                                       quoted_start(name)));
  }

  Status read_shards(const JsonObject& map) {
    std::vector<std::string_view> names;
    for (const auto& [tensor, shard] : map) {
      if (!shard.is_string()) return bad(kIndexName, "want file names in weight_map");
      names.push_back(shard.as_string());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    if (names.size() > kMaxCheckpointFiles) {
      return error(Code::kTooLarge, "{}: want at most {} files, found {}",
                   (folder_ / kIndexName).string(), kMaxCheckpointFiles, names.size());
    }
    for (const std::string_view name : names) YQ_RETURN_IF_ERROR(check_shard_name(name));
    std::vector<std::pair<std::string, std::string>> found;  // (tensor, shard)
    for (const std::string_view name : names) {
      const size_t before = parts_.tensors.size();
      YQ_RETURN_IF_ERROR(read_shard(name));
      for (size_t i = before; i < parts_.tensors.size(); ++i) {
        found.emplace_back(parts_.tensors[i].name, name);
      }
    }
    std::sort(found.begin(), found.end());
    for (const auto& [tensor, shard] : map) {
      if (!std::binary_search(found.begin(), found.end(), std::pair(tensor, shard.as_string()))) {
        return bad(kIndexName,
                   fmt::format("tensor {} is not in {}", quoted_start(tensor), shard.as_string()));
      }
    }
    return Status::ok();
  }

  Status read_shard(std::string_view name) {
    const Path path = folder_ / name;
    auto mapping = MappedFile::open(path);
    if (!mapping.is_ok() && mapping.status().code() == Code::kNotFound) {
      return error(Code::kNotFound, "{}: this weight file is missing; fetch it too", path.string());
    }
    YQ_RETURN_IF_ERROR(mapping.status());
    auto file = parse_safetensors(mapping->bytes());
    if (!file.is_ok()) return file.status().with_context(path.string());
    if (parts_.files.empty() && !file->metadata.as_object().empty()) {
      parts_.metadata.set("safetensors", std::move(file->metadata));
    }
    std::move(file->tensors.begin(), file->tensors.end(), std::back_inserter(parts_.tensors));
    if (parts_.tensors.size() > kMaxTensors) {
      return error(Code::kTooLarge, "{}: want at most {} tensors in all files", path.string(),
                   kMaxTensors);
    }
    parts_.mappings.push_back(std::move(mapping).value());
    parts_.files.push_back(path);
    return Status::ok();
  }

  const Path folder_;
  const std::vector<FolderEntry> files_;
  CheckpointParts parts_;
};

// The one GGUF model in a folder that holds nothing else to load; "" when there is none.
Result<Path> sole_gguf(const Path& folder, const std::vector<FolderEntry>& files) {
  std::vector<Path> models;
  for (const FolderEntry& file : files) {
    const Path path = folder / file.name;
    if (path.extension() == ".gguf" && !is_later_gguf_part(path)) models.push_back(path);
  }
  if (models.size() > 1) {
    return error(Code::kInvalidArgument, "{}: {} GGUF models; name the file that you mean",
                 folder.string(), models.size());
  }
  return models.empty() ? Path() : models.front();
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_folder(const Path& folder, const Path& only) {
  const Path real_folder = folder.empty() ? Path(".") : folder;
  YQ_TRY(auto files, list_files(real_folder));
  if (only.empty() && !has_file(files, "config.json")) {
    YQ_TRY(const auto gguf, sole_gguf(real_folder, files));
    if (!gguf.empty()) return open_gguf(gguf);
  }
  return FolderReader(real_folder, std::move(files)).read(only.string());
}

Result<std::unique_ptr<Checkpoint>> open_safetensors_bytes(std::string_view config_json,
                                                           std::span<const std::byte> bytes) {
  CheckpointParts parts;
  parts.format = "safetensors";
  auto config = parse_json(config_json);
  if (!config.is_ok()) return error(Code::kBadFile, "config.json: {}", config.status().message());
  parts.config = std::move(config).value();
  YQ_TRY(auto file, parse_safetensors(bytes));
  parts.tensors = std::move(file.tensors);
  parts.metadata = std::move(file.metadata);
  return assemble_checkpoint(std::move(parts));
}

}  // namespace yunqi
