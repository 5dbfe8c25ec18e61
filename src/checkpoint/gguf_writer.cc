// Writes GGUF v3 files: the head in memory, then each tensor's bytes as its source fills them, so
// that memory holds one tensor at a time. A file appears under its name only when it is whole.
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/checked_math.h"
#include "base/output_file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/limits.h"
#include "checkpoint/plain_name.h"

namespace yunqi {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;

template <typename T>
void append(std::string& out, T number) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &number, sizeof(T));
  out.append(bytes, sizeof(T));
}

void append_type(std::string& out, GgufType type) { append(out, static_cast<uint32_t>(type)); }

void append_text(std::string& out, std::string_view text) {
  append<uint64_t>(out, text.size());
  out += text;
}

// The smallest type that holds every number of an array; token types are i32 by custom.
GgufType array_type(const JsonArray& items) {
  if (items.empty()) return GgufType::kI32;
  if (items.front().is_string()) return GgufType::kText;
  if (items.front().is_bool()) return GgufType::kBool;
  GgufType type = GgufType::kI32;
  for (const Json& item : items) {
    if (item.is_double()) return GgufType::kF32;
    if (item.is_uint()) type = GgufType::kU64;
    if (item.is_int() && type != GgufType::kU64 &&
        item.as_int() != static_cast<int32_t>(item.as_int())) {
      type = GgufType::kI64;
    }
  }
  return type;
}

GgufType scalar_type(const Json& value) {
  if (value.is_string()) return GgufType::kText;
  if (value.is_bool()) return GgufType::kBool;
  if (value.is_double()) return GgufType::kF32;
  if (value.is_uint()) return GgufType::kU64;
  const int64_t number = value.as_int();
  if (number >= 0) return number <= UINT32_MAX ? GgufType::kU32 : GgufType::kU64;
  return number >= INT32_MIN ? GgufType::kI32 : GgufType::kI64;
}

// An integer above int64's range, which Json gives out as text only.
uint64_t large_integer(const Json& value) {
  const std::string text = value.dump();
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Appends one element of an already chosen type.
Status append_element(std::string& out, std::string_view key, GgufType type, const Json& value) {
  const bool fits = type == GgufType::kText   ? value.is_string()
                    : type == GgufType::kBool ? value.is_bool()
                    : type == GgufType::kF32  ? value.is_number()
                    : type == GgufType::kU64
                        ? value.is_uint() || (value.is_int() && value.as_int() >= 0)
                        : value.is_int();
  if (!fits) {
    return error(Code::kInvalidArgument, "key {}: an array can't mix {} with {}", key,
                 gguf_type_name(type), value.type_name());
  }
  switch (type) {
    case GgufType::kText:
      append_text(out, value.as_string());
      return Status::ok();
    case GgufType::kBool:
      append(out, static_cast<uint8_t>(value.as_bool() ? 1 : 0));
      return Status::ok();
    case GgufType::kF32:
      if (!(std::fabs(value.as_double()) <= double{std::numeric_limits<float>::max()})) {
        return error(Code::kInvalidArgument, "key {}: {} does not fit f32", key, value.dump());
      }
      append(out, static_cast<float>(value.as_double()));
      return Status::ok();
    case GgufType::kU32:
      append(out, static_cast<uint32_t>(value.as_int()));
      return Status::ok();
    case GgufType::kI32:
      append(out, static_cast<int32_t>(value.as_int()));
      return Status::ok();
    default:
      append(out, value.is_int() ? static_cast<uint64_t>(value.as_int()) : large_integer(value));
      return Status::ok();
  }
}

Status append_pair(std::string& out, std::string_view key, const Json& value) {
  if (!is_plain_name(key, kMaxGgufKeyBytes)) {
    return error(Code::kInvalidArgument, "want a key of text, found {}", quoted_start(key));
  }
  if (value.is_null() || value.is_object()) {
    return error(Code::kInvalidArgument, "key {}: GGUF has no value for {}", key,
                 value.type_name());
  }
  append_text(out, key);
  if (!value.is_array()) {
    const GgufType type = scalar_type(value);
    append_type(out, type);
    return append_element(out, key, type, value);
  }
  const GgufType type = array_type(value.as_array());
  append_type(out, GgufType::kArray);
  append_type(out, type);
  append<uint64_t>(out, value.as_array().size());
  for (const Json& item : value.as_array()) {
    YQ_RETURN_IF_ERROR(append_element(out, key, type, item));
  }
  return Status::ok();
}

// The bytes of a tensor to come, its shape checked.
Result<uint64_t> tensor_bytes(const GgufTensorSource& tensor) {
  if (!is_plain_name(tensor.name, kMaxTensorNameBytes) || tensor.shape.empty() ||
      tensor.shape.size() > kMaxGgufRank || !ggml_type_of(tensor.dtype)) {
    return error(Code::kInvalidArgument,
                 "tensor {}: want a name, 1 to {} dimensions and a type that GGUF has",
                 quoted_start(tensor.name), kMaxGgufRank);
  }
  std::optional<uint64_t> elements = 1;
  for (const int64_t dimension : tensor.shape) {
    if (dimension < 1 || !elements) elements.reset();
    if (elements) elements = checked_mul(*elements, static_cast<uint64_t>(dimension));
  }
  const DTypeInfo& info = dtype_info(tensor.dtype);
  const auto bytes = elements ? dtype_bytes(tensor.dtype, *elements) : std::nullopt;
  if (!bytes || *elements > uint64_t{INT64_MAX} || tensor.shape.back() % info.block_elements != 0) {
    return error(Code::kInvalidArgument, "tensor {}: rows of {} are no whole blocks of {}",
                 tensor.name, tensor.shape.back(), info.name);
  }
  return *bytes;
}

Result<uint64_t> alignment_of(const Json& metadata) {
  const Json* value = metadata.find("general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  const int64_t alignment = value->is_int() ? value->as_int() : 0;
  if (alignment < 1 || !checked_align_up(0, static_cast<uint64_t>(alignment)) ||
      alignment > static_cast<int64_t>(kMaxGgufAlignment)) {
    return error(Code::kInvalidArgument, "general.alignment: want a power of two up to {}",
                 kMaxGgufAlignment);
  }
  return static_cast<uint64_t>(alignment);
}

// Where each tensor's bytes go, from the start of the file.
struct Layout {
  std::string head;  // everything before the data section, padded
  std::vector<uint64_t> offsets, sizes;
  uint64_t total = 0;  // with the last tensor's padding, which some readers want
};

Result<Layout> lay_out(const Json& metadata, std::span<const GgufTensorSource> tensors) {
  if (!metadata.is_object()) {
    return error(Code::kInvalidArgument, "want an object of metadata, found {}",
                 metadata.type_name());
  }
  YQ_TRY(const uint64_t alignment, alignment_of(metadata));
  Layout layout;
  std::string& head = layout.head;
  head += kMagic;
  append(head, kVersion);
  append<uint64_t>(head, tensors.size());
  append<uint64_t>(head, metadata.as_object().size());
  for (const auto& [key, value] : metadata.as_object()) {
    YQ_RETURN_IF_ERROR(append_pair(head, key, value));
  }
  uint64_t offset = 0;
  for (const GgufTensorSource& tensor : tensors) {
    YQ_TRY(const uint64_t size, tensor_bytes(tensor));
    append_text(head, tensor.name);
    append(head, static_cast<uint32_t>(tensor.shape.size()));
    for (auto at = tensor.shape.rbegin(); at != tensor.shape.rend(); ++at) {
      append(head, static_cast<uint64_t>(*at));
    }
    append(head, *ggml_type_of(tensor.dtype));
    append(head, offset);
    layout.offsets.push_back(offset);
    layout.sizes.push_back(size);
    const auto end = checked_add(offset, size);
    const auto next = end ? checked_align_up(*end, alignment) : std::nullopt;
    if (!next) return error(Code::kInvalidArgument, "tensor {}: the file is too long", tensor.name);
    offset = *next;
  }
  head.resize(checked_align_up(head.size(), alignment).value_or(head.size()), '\0');
  for (uint64_t& at : layout.offsets) at += head.size();
  layout.total = head.size() + offset;
  return layout;
}

Status write_parts(OutputFile& file, const Layout& layout,
                   std::span<const GgufTensorSource> tensors) {
  YQ_RETURN_IF_ERROR(file.resize(0));  // what an earlier attempt left must not shine through
  YQ_RETURN_IF_ERROR(file.resize(layout.total));
  YQ_RETURN_IF_ERROR(file.write_at(0, layout.head));
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::string bytes(layout.sizes[i], '\0');
    YQ_RETURN_IF_ERROR(tensors[i].fill(std::as_writable_bytes(std::span(bytes))));
    YQ_RETURN_IF_ERROR(file.write_at(layout.offsets[i], bytes));
  }
  return file.sync();
}

}  // namespace

Status write_gguf(const Path& path, const Json& metadata,
                  std::span<const GgufTensorSource> tensors) {
  YQ_TRY(const Layout layout, lay_out(metadata, tensors));
  const Path part = path.string() + ".part";
  {
    YQ_TRY(OutputFile file, OutputFile::open(part));
    if (Status status = write_parts(file, layout, tensors); !status.is_ok()) {
      std::error_code ignored;
      std::filesystem::remove(part, ignored);
      return status;
    }
  }
  return rename_durably(part, path);
}

}  // namespace yunqi
