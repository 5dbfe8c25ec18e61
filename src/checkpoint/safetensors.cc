// Reads and checks a safetensors file: the header is parsed by the one strict JSON parser, and the
// tensors must cover the rest of the file exactly.
#include "checkpoint/safetensors.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/checked_math.h"
#include "base/reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/plain_name.h"

namespace yunqi {
namespace {

struct TypeName {
  std::string_view name;
  std::optional<DType> dtype;  // none: known, but not read here
};
constexpr TypeName kTypes[] = {
    {"F64", DType::kF64},
    {"F32", DType::kF32},
    {"F16", DType::kF16},
    {"BF16", DType::kBF16},
    {"F8_E4M3", DType::kF8E4M3},
    {"I64", DType::kI64},
    {"I32", DType::kI32},
    {"I16", DType::kI16},
    {"I8", DType::kI8},
    {"U8", DType::kU8},
    {"BOOL", DType::kBool},
    {"U16", {}},
    {"U32", {}},
    {"U64", {}},
    {"F8_E5M2", {}},
    {"F8_E8M0", {}},
    {"F6_E2M3", {}},
    {"F6_E3M2", {}},
    {"F4", {}},
    {"C64", {}},
    {"F8_E4M3FNUZ", {}},
    {"F8_E5M2FNUZ", {}},
};

Result<DType> dtype_of(std::string_view text) {
  for (const TypeName& type : kTypes) {
    if (type.name != text) continue;
    if (type.dtype) return *type.dtype;
    return error(Code::kUnsupported, "element type {} is not supported", text);
  }
  return error(Code::kBadFile, "no element type is called {}", quoted_start(text));
}

Result<uint64_t> size_of(const Json& value, std::string_view what) {
  if (!value.is_int() || value.as_int() < 0) {
    return error(Code::kBadFile, "{}: want an integer from 0, found {}", what, value.type_name());
  }
  return static_cast<uint64_t>(value.as_int());
}

// A header entry and where its bytes are said to be.
struct Entry {
  Tensor tensor;
  uint64_t begin = 0, end = 0;
};

Status read_shape(const Json* shape, Tensor& tensor) {
  if (shape == nullptr || !shape->is_array())
    return error(Code::kBadFile, "want an array \"shape\"");
  if (shape->as_array().size() > kMaxSafetensorsRank) {
    return error(Code::kTooLarge, "want at most {} dimensions, found {}", kMaxSafetensorsRank,
                 shape->as_array().size());
  }
  uint64_t elements = 1;
  for (const Json& item : shape->as_array()) {
    YQ_TRY(const auto dimension, size_of(item, "shape"));
    const auto product = checked_mul(elements, dimension);
    if (!product || *product > uint64_t{INT64_MAX}) {
      return error(Code::kBadFile, "shape: its product is not representable");
    }
    elements = *product;
    tensor.shape.push_back(static_cast<int64_t>(dimension));
  }
  return Status::ok();
}

Result<Entry> read_entry(const JsonMember& member) {
  const Json& fields = member.second;
  const Json* dtype = fields.find("dtype");
  const Json* offsets = fields.find("data_offsets");
  if (!fields.is_object() || fields.as_object().size() != 3 || dtype == nullptr ||
      !dtype->is_string() || offsets == nullptr || !offsets->is_array() ||
      offsets->as_array().size() != 2) {
    return error(Code::kBadFile, "want an object of \"dtype\", \"shape\" and \"data_offsets\"");
  }
  Entry entry;
  entry.tensor.name = member.first;
  YQ_TRY(entry.tensor.dtype, dtype_of(dtype->as_string()));
  YQ_RETURN_IF_ERROR(read_shape(fields.find("shape"), entry.tensor));
  YQ_TRY(entry.begin, size_of(offsets->as_array()[0], "data_offsets"));
  YQ_TRY(entry.end, size_of(offsets->as_array()[1], "data_offsets"));
  const auto want = dtype_bytes(entry.tensor.dtype, static_cast<uint64_t>(entry.tensor.elements()));
  if (entry.end < entry.begin || want != entry.end - entry.begin) {
    return error(Code::kBadFile, "{} does not fill the bytes {} to {}", entry.tensor.describe(),
                 entry.begin, entry.end);
  }
  return entry;
}

// The data rule: by offset, the tensors tile the bytes after the header exactly. An empty tensor
// lies where one tensor ends and the next begins (or at either end).
Status place_tensors(std::span<const std::byte> data, std::vector<Entry>& entries) {
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(entries[a].begin, entries[a].end) <
           std::pair(entries[b].begin, entries[b].end);
  });
  uint64_t end = 0;
  for (const uint32_t index : order) {
    Entry& entry = entries[index];
    if (entry.begin != end) {
      return error(Code::kBadFile, "tensor {}: want data offset {}, found {} ({})",
                   entry.tensor.name, end, entry.begin,
                   entry.begin < end ? "it overlaps the tensor before" : "a gap");
    }
    if (entry.end > data.size()) {
      return error(Code::kBadFile, "truncated: tensor {} ends at data offset {}, the file has {}",
                   entry.tensor.name, entry.end, data.size());
    }
    entry.tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    end = entry.end;
  }
  if (end != data.size()) {
    return error(Code::kBadFile, "{} bytes after the last tensor belong to nothing",
                 data.size() - end);
  }
  return Status::ok();
}

Result<Json> read_header(BoundedReader& reader) {
  YQ_TRY(const auto length, reader.read<uint64_t>());
  if (length > kMaxSafetensorsHeaderBytes) {
    return error(Code::kTooLarge, "want a header of at most {} bytes, found {}",
                 kMaxSafetensorsHeaderBytes, length);
  }
  YQ_TRY(const auto text, reader.read_text(length));
  if (!text.starts_with('{')) {
    return error(Code::kBadFile, "the header does not begin with {{: this is no safetensors file");
  }
  // An entry is itself, three fields, a shape and two offsets.
  JsonLimits limits;
  limits.max_members = (kMaxTensorsPerFile + 1) * (1 + 3 + kMaxSafetensorsRank + 2);
  auto header = parse_json(text, limits);
  if (!header.is_ok()) {
    return error(Code::kBadFile, "header: {}", header.status().message());
  }
  return header;
}

Status check_metadata(const Json& metadata) {
  bool texts = metadata.is_object();
  if (texts) {
    for (const auto& [key, value] : metadata.as_object()) texts = texts && value.is_string();
  }
  if (!texts) return error(Code::kBadFile, "__metadata__: want an object of strings");
  return Status::ok();
}

}  // namespace

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes) {
  BoundedReader reader(bytes);
  YQ_TRY(Json header, read_header(reader));
  SafetensorsFile file;
  std::vector<Entry> entries;
  if (header.as_object().size() > kMaxTensorsPerFile + 1) {
    return error(Code::kTooLarge, "want at most {} tensors, found {}", kMaxTensorsPerFile,
                 header.as_object().size());
  }
  entries.reserve(header.as_object().size());
  for (JsonMember& member : header.as_object()) {
    if (member.first == "__metadata__") {
      YQ_RETURN_IF_ERROR(check_metadata(member.second));
      file.metadata = std::move(member.second);
      continue;
    }
    if (!is_plain_name(member.first, kMaxTensorNameBytes)) {
      return error(Code::kBadFile, "want tensor names of 1 to {} bytes of text, found {}",
                   kMaxTensorNameBytes, quoted_start(member.first));
    }
    auto entry = read_entry(member);
    if (!entry.is_ok()) return entry.status().with_context("tensor " + member.first);
    entries.push_back(std::move(entry).value());
  }
  if (entries.size() > kMaxTensorsPerFile) {
    return error(Code::kTooLarge, "want at most {} tensors, found {}", kMaxTensorsPerFile,
                 entries.size());
  }
  YQ_RETURN_IF_ERROR(place_tensors(bytes.subspan(reader.offset()), entries));
  file.tensors.reserve(entries.size());
  for (Entry& entry : entries) file.tensors.push_back(std::move(entry.tensor));
  return file;
}

}  // namespace yunqi
