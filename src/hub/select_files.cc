// Which files of a repository make one model. Only names we know are ever fetched: no pickled
// weights, no scripts.
#include <algorithm>
#include <array>
#include <map>

#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

constexpr std::array<std::string_view, 16> kFolderFiles = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "quantize_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
};
constexpr size_t kMaxListedChoices = 40;
constexpr std::string_view kPreferred = "q4_k_m";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_gguf(std::string_view name) { return lower(name).ends_with(".gguf"); }

// "x-00002-of-00003.gguf" -> "x.gguf"; other names stay. The parts of one model share it.
std::string without_part_number(std::string_view name) {
  constexpr std::string_view kShape = "-00000-of-00000.gguf";
  if (name.size() <= kShape.size()) return std::string(name);
  const std::string_view tail = name.substr(name.size() - kShape.size());
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = tail[i] >= '0' && tail[i] <= '9';
    if (kShape[i] == '0' ? !digit : tail[i] != kShape[i]) return std::string(name);
  }
  return std::string(name.substr(0, name.size() - kShape.size())) + ".gguf";
}

// True when `quant` stands in the name between separators: "q8_0" in "a-q8_0.gguf".
bool names_quant(std::string_view name, std::string_view quant) {
  const std::string text = lower(name);
  const std::string wanted = lower(quant);
  const auto is_edge = [&](size_t at) {
    return at >= text.size() || text[at] == '-' || text[at] == '.' || text[at] == '/';
  };
  for (size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    if ((at == 0 || is_edge(at - 1)) && is_edge(at + wanted.size())) return true;
  }
  return false;
}

using Groups = std::map<std::string, std::vector<RepoFile>>;

Groups gguf_groups(const std::vector<RepoFile>& files) {
  Groups groups;
  for (const RepoFile& file : files) {
    // The vision part of a model is no model.
    if (!is_gguf(file.name) || lower(file.name).find("mmproj") != std::string::npos) continue;
    groups[without_part_number(file.name)].push_back(file);
  }
  for (auto& [name, parts] : groups) {
    std::sort(parts.begin(), parts.end(),
              [](const RepoFile& a, const RepoFile& b) { return a.name < b.name; });
  }
  return groups;
}

Status no_choice(const Groups& groups, std::string_view wanted) {
  std::string choices;
  size_t listed = 0;
  for (const auto& [name, parts] : groups) {
    if (++listed > kMaxListedChoices) {
      choices += " ...";
      break;
    }
    choices += (choices.empty() ? "" : ", ") + name;
  }
  if (choices.empty()) choices = "neither GGUF files nor a config.json with safetensors";
  return wanted.empty() ? error(Code::kNotFound,
                                "which file? name one as owner/repo:FILE; there are: {}", choices)
                        : error(Code::kNotFound, "want one file \"{}\", the repository has: {}",
                                wanted, choices);
}

RepoSelection folder_of(const std::vector<RepoFile>& files) {
  RepoSelection selection;
  selection.is_folder = true;
  for (const RepoFile& file : files) {
    const bool known =
        std::find(kFolderFiles.begin(), kFolderFiles.end(), file.name) != kFolderFiles.end();
    const bool by_ending =
        file.name.find('/') == std::string::npos &&
        (file.name.ends_with(".safetensors") || file.name.ends_with(".tiktoken"));
    if (known || by_ending) selection.files.push_back(file);
  }
  return selection;
}

}  // namespace

Result<RepoSelection> select_files(const std::vector<RepoFile>& files, std::string_view wanted) {
  const auto has = [&](std::string_view name) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RepoFile& file) { return file.name == name; });
  };
  const Groups groups = gguf_groups(files);
  if (wanted.empty()) {
    const bool has_weights = std::any_of(files.begin(), files.end(), [](const RepoFile& file) {
      return file.name.ends_with(".safetensors") && file.name.find('/') == std::string::npos;
    });
    if (has("config.json") && has_weights) return folder_of(files);
    if (groups.size() == 1) return RepoSelection{groups.begin()->second, false};
    wanted = kPreferred;
    for (const auto& [name, parts] : groups) {
      if (names_quant(name, wanted)) return RepoSelection{parts, false};
    }
    return no_choice(groups, "");
  }
  for (const auto& [name, parts] : groups) {
    const bool is_part = std::any_of(parts.begin(), parts.end(),
                                     [&](const RepoFile& part) { return part.name == wanted; });
    if (name == wanted || is_part) return RepoSelection{parts, false};
  }
  const std::vector<RepoFile>* found = nullptr;
  for (const auto& [name, parts] : groups) {
    if (is_gguf(wanted) || !names_quant(name, wanted)) continue;
    if (found) return no_choice(groups, wanted);  // two of them: the user must say which
    found = &parts;
  }
  if (!found) return no_choice(groups, wanted);
  return RepoSelection{*found, false};
}

}  // namespace yunqi
