// A GGUF file, or a set of split ones, as a Checkpoint.
#include <array>
#include <charconv>
#include <optional>

#include "checkpoint/assembled.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/limits.h"

namespace yunqi {
namespace {

// "<stem>-00002-of-00003.gguf", as the splitting tools name parts.
struct SplitName {
  std::string stem;
  uint64_t part = 0, parts = 0;  // from 1

  Path sibling(const Path& folder, uint64_t number) const {
    return folder / fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, parts);
  }
};

std::optional<uint64_t> five_digits(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.begin(), text.end(), number);
  if (text.size() != 5 || parsed.ec != std::errc() || parsed.ptr != text.end()) return std::nullopt;
  return number;
}

std::optional<SplitName> parse_split_name(const Path& path) {
  constexpr std::string_view kExample = "-00001-of-00002.gguf";
  const std::string name = path.filename().string();
  if (name.size() <= kExample.size() || !name.ends_with(".gguf")) return std::nullopt;
  const std::string_view tail = std::string_view(name).substr(name.size() - kExample.size());
  const auto part = five_digits(tail.substr(1, 5));
  const auto parts = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !part || !parts) return std::nullopt;
  if (*part < 1 || *part > *parts) return std::nullopt;
  return SplitName{name.substr(0, name.size() - kExample.size()), *part, *parts};
}

// Part `number` of `parts` must say so itself.
Status check_split_keys(const GgufMetadata& metadata, uint64_t number, uint64_t parts) {
  YQ_TRY(const auto count, metadata.integer("split.count", 0, UINT16_MAX));
  YQ_TRY(const auto index, metadata.integer("split.no", 0, UINT16_MAX));
  if (count.value_or(0) != static_cast<int64_t>(parts) ||
      index.value_or(-1) != static_cast<int64_t>(number) - 1) {
    return error(Code::kBadFile, "want part {} of {} of a split model, found split.no {} of {}",
                 number, parts, index.value_or(-1) + 1, count.value_or(0));
  }
  return Status::ok();
}

void append_tensors(GgufFile& file, std::vector<Tensor>& out) {
  for (GgufTensor& from : file.tensors) {
    Tensor tensor;
    tensor.name = hf_name_of_gguf(from.name);
    if (tensor.name.empty()) tensor.name = std::string(from.name);
    tensor.dtype = from.dtype;
    tensor.shape = std::move(from.shape);
    tensor.bytes = from.bytes;
    out.push_back(std::move(tensor));
  }
}

// The metadata of a set is that of its first part.
Result<std::unique_ptr<Checkpoint>> assemble(const GgufMetadata& metadata, CheckpointParts parts) {
  parts.format = "gguf";
  YQ_TRY(const auto total, metadata.integer("split.tensors.count", 0, INT64_MAX));
  if (total && *total != static_cast<int64_t>(parts.tensors.size())) {
    return error(Code::kBadFile, "want split.tensors.count = {} tensors in all parts, found {}",
                 *total, parts.tensors.size());
  }
  YQ_TRY(parts.config, gguf_config(metadata, parts.tensors));
  YQ_TRY(parts.tokenizer, gguf_tokenizer(metadata));
  const Json* rows = parts.config.find("vocab_size");
  const auto tokens = static_cast<int64_t>(parts.tokenizer.gguf_tokens.size());
  if (rows != nullptr && tokens > rows->as_int()) {
    return error(Code::kBadFile, "{} tokens for {} rows of token_embd.weight", tokens,
                 rows->as_int());
  }
  YQ_TRY(parts.generation_config, gguf_generation_config(metadata, parts.tokenizer));
  YQ_TRY(parts.chat_template, gguf_chat_template(metadata));
  parts.metadata = gguf_metadata_json(metadata);
  return assemble_checkpoint(std::move(parts));
}

Result<GgufFile> map_part(const Path& path, CheckpointParts& parts) {
  YQ_TRY(auto mapping, MappedFile::open(path));
  auto file = parse_gguf(mapping.bytes());
  if (!file.is_ok()) return file.status().with_context(path.string());
  append_tensors(*file, parts.tensors);
  parts.mappings.push_back(std::move(mapping));
  parts.files.push_back(path);
  return file;
}

}  // namespace

bool is_later_gguf_part(const Path& path) {
  const auto split = parse_split_name(path);
  return split && split->part > 1;
}

Result<std::unique_ptr<Checkpoint>> open_gguf(const Path& path) {
  CheckpointParts parts;
  const std::optional<SplitName> split = parse_split_name(path);
  if (!split) {
    YQ_TRY(const GgufFile file, map_part(path, parts));
    YQ_TRY(const auto count, file.metadata.integer("split.count", 0, UINT16_MAX));
    if (count.value_or(1) > 1) {
      return error(Code::kBadFile,
                   "{}: one of {} parts, but its name does not say which; want "
                   "NAME-00001-of-{:05}.gguf",
                   path.string(), *count, *count);
    }
    auto checkpoint = assemble(file.metadata, std::move(parts));
    if (!checkpoint.is_ok()) return checkpoint.status().with_context(path.string());
    return checkpoint;
  }
  if (split->parts > kMaxCheckpointFiles) {
    return error(Code::kTooLarge, "{}: want at most {} parts", path.string(), kMaxCheckpointFiles);
  }
  std::optional<GgufFile> first;
  for (uint64_t number = 1; number <= split->parts; ++number) {
    const Path part = split->sibling(path.parent_path(), number);
    auto file = map_part(part, parts);
    if (!file.is_ok() && file.status().code() == Code::kNotFound) {
      return error(Code::kNotFound, "{}: part {} of {} is missing; fetch it too", part.string(),
                   number, split->parts);
    }
    YQ_RETURN_IF_ERROR(file.status());
    if (split->parts > 1) {
      const Status status = check_split_keys(file->metadata, number, split->parts);
      YQ_RETURN_IF_ERROR(status.with_context(part.string()));
    }
    if (number == 1) first = std::move(file).value();
  }
  auto checkpoint = assemble(first->metadata, std::move(parts));
  if (!checkpoint.is_ok()) return checkpoint.status().with_context(path.string());
  return checkpoint;
}

Result<std::unique_ptr<Checkpoint>> open_gguf_bytes(std::span<const std::byte> bytes) {
  CheckpointParts parts;
  YQ_TRY(GgufFile file, parse_gguf(bytes));
  append_tensors(file, parts.tensors);
  return assemble(file.metadata, std::move(parts));
}

}  // namespace yunqi
