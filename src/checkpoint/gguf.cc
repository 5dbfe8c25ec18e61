// Reads and checks a GGUF container. Every count is held against the bytes that remain before it
// sizes anything, and every sum and product is checked, so a malformed file costs an error only.
#include "checkpoint/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "base/checked_math.h"
#include "base/reader.h"
#include "checkpoint/limits.h"
#include "checkpoint/plain_name.h"

namespace yunqi {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF", little-endian
constexpr uint64_t kDefaultAlignment = 32;
// The shortest key-value pair (empty key, one-byte value) and tensor entry (empty name, one
// dimension) in bytes: what a count promises at least.
constexpr uint64_t kMinPairBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;

struct GgmlType {
  uint32_t number;
  std::string_view name;
  std::optional<DType> dtype;  // none: known, but not read here
};
constexpr GgmlType kGgmlTypes[] = {
    {0, "F32", DType::kF32},
    {1, "F16", DType::kF16},
    {2, "Q4_0", DType::kQ4_0},
    {3, "Q4_1", DType::kQ4_1},
    {6, "Q5_0", DType::kQ5_0},
    {7, "Q5_1", DType::kQ5_1},
    {8, "Q8_0", DType::kQ8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", DType::kQ2_K},
    {11, "Q3_K", DType::kQ3_K},
    {12, "Q4_K", DType::kQ4_K},
    {13, "Q5_K", DType::kQ5_K},
    {14, "Q6_K", DType::kQ6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", DType::kIQ4_NL},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", DType::kIQ4_XS},
    {24, "I8", DType::kI8},
    {25, "I16", DType::kI16},
    {26, "I32", DType::kI32},
    {27, "I64", DType::kI64},
    {28, "F64", DType::kF64},
    {29, "IQ1_M", {}},
    {30, "BF16", DType::kBF16},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", {}},
    {40, "NVFP4", {}},
};

Result<DType> dtype_of(uint32_t number, std::string_view tensor) {
  for (const GgmlType& type : kGgmlTypes) {
    if (type.number != number) continue;
    if (type.dtype) return *type.dtype;
    return error(Code::kUnsupported,
                 "tensor {}: type {} is not supported; use a Q2_K to Q8_0, IQ4, F16 or BF16 file",
                 tensor, type.name);
  }
  return error(Code::kBadFile, "tensor {}: no tensor type has the number {}", tensor, number);
}

Result<std::string_view> read_string(BoundedReader& reader) {
  YQ_TRY(const auto length, reader.read<uint64_t>());
  return reader.read_text(length);
}

Result<GgufType> read_type(BoundedReader& reader, std::string_view key) {
  YQ_TRY(const auto number, reader.read<uint32_t>());
  if (number > static_cast<uint32_t>(GgufType::kF64)) {
    return error(Code::kBadFile, "key {}: no value type has the number {}", key, number);
  }
  return static_cast<GgufType>(number);
}

// The bytes of `count` values of one type, whatever their lengths.
Result<std::span<const std::byte>> read_elements(std::span<const std::byte> file,
                                                 BoundedReader& reader, GgufType type,
                                                 uint64_t count) {
  if (type != GgufType::kText) {
    const auto bytes = checked_mul(count, gguf_type_bytes(type));
    if (!bytes) return error(Code::kBadFile, "an array of {} items can't be in a file", count);
    return reader.read_bytes(*bytes);
  }
  const uint64_t begin = reader.offset();
  if (count > reader.remaining() / sizeof(uint64_t)) {
    return error(Code::kBadFile, "truncated at byte {}: {} strings can't be in {} bytes", begin,
                 count, reader.remaining());
  }
  for (uint64_t i = 0; i < count; ++i) YQ_RETURN_IF_ERROR(read_string(reader).status());
  return file.subspan(begin, reader.offset() - begin);
}

Result<GgufValue> read_value(std::span<const std::byte> file, BoundedReader& reader,
                             std::string_view key) {
  GgufValue value;
  YQ_TRY(value.type, read_type(reader, key));
  value.element = value.type;
  if (value.type == GgufType::kText) {
    YQ_TRY(const auto length, reader.read<uint64_t>());
    YQ_TRY(value.bytes, reader.read_bytes(length));
    return value;
  }
  if (value.type == GgufType::kArray) {
    YQ_TRY(value.element, read_type(reader, key));
    YQ_TRY(value.count, reader.read<uint64_t>());
    if (value.element == GgufType::kArray) {
      return error(Code::kBadFile, "key {}: arrays of arrays are not allowed", key);
    }
  }
  YQ_TRY(value.bytes, read_elements(file, reader, value.element, value.count));
  return value;
}

Result<std::vector<GgufPair>> read_pairs(std::span<const std::byte> file, BoundedReader& reader,
                                         uint64_t count) {
  if (count > reader.remaining() / kMinPairBytes) {
    return error(Code::kBadFile, "truncated at byte {}: {} keys can't be in {} bytes",
                 reader.offset(), count, reader.remaining());
  }
  if (count > kMaxGgufKeys) {
    return error(Code::kTooLarge, "want at most {} keys, found {}", kMaxGgufKeys, count);
  }
  std::vector<GgufPair> pairs;
  pairs.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    GgufPair pair;
    YQ_TRY(pair.key, read_string(reader));
    if (!is_plain_name(pair.key, kMaxGgufKeyBytes)) {
      return error(Code::kBadFile, "key {} of {}: want 1 to {} bytes of text, found {}", i, count,
                   kMaxGgufKeyBytes, quoted_start(pair.key));
    }
    YQ_TRY(pair.value, read_value(file, reader, pair.key));
    pairs.push_back(pair);
  }
  return pairs;
}

// What the tensor table says, before the data section is known.
struct Entry {
  GgufTensor tensor;
  uint64_t offset = 0, size = 0;
};

Result<Entry> read_entry(BoundedReader& reader, uint64_t index) {
  Entry entry;
  GgufTensor& tensor = entry.tensor;
  YQ_TRY(tensor.name, read_string(reader));
  if (!is_plain_name(tensor.name, kMaxTensorNameBytes)) {
    return error(Code::kBadFile, "tensor {}: want a name of 1 to {} bytes of text, found {}", index,
                 kMaxTensorNameBytes, quoted_start(tensor.name));
  }
  YQ_TRY(const auto rank, reader.read<uint32_t>());
  if (rank < 1 || rank > kMaxGgufRank) {
    return error(Code::kBadFile, "tensor {}: want 1 to {} dimensions, found {}", tensor.name,
                 kMaxGgufRank, rank);
  }
  uint64_t elements = 1;
  tensor.shape.resize(rank);
  for (uint32_t i = 0; i < rank; ++i) {
    YQ_TRY(const auto dimension, reader.read<uint64_t>());
    const auto product = checked_mul(elements, dimension);
    if (dimension < 1 || !product || *product > uint64_t{INT64_MAX}) {
      return error(Code::kBadFile, "tensor {}: dimension {} is {}: its size is not representable",
                   tensor.name, i, dimension);
    }
    elements = *product;
    tensor.shape[rank - 1 - i] = static_cast<int64_t>(dimension);
  }
  YQ_TRY(const auto type, reader.read<uint32_t>());
  YQ_TRY(tensor.dtype, dtype_of(type, tensor.name));
  const DTypeInfo& info = dtype_info(tensor.dtype);
  if (static_cast<uint64_t>(tensor.shape.back()) % info.block_elements != 0) {
    return error(Code::kBadFile, "tensor {}: rows of {} elements are no whole blocks of {} ({})",
                 tensor.name, tensor.shape.back(), info.name, info.block_elements);
  }
  const auto size = dtype_bytes(tensor.dtype, elements);
  if (!size) {
    return error(Code::kBadFile, "tensor {}: {} elements of {} are not representable", tensor.name,
                 elements, info.name);
  }
  entry.size = *size;
  YQ_TRY(entry.offset, reader.read<uint64_t>());
  return entry;
}

Result<std::vector<Entry>> read_entries(BoundedReader& reader, uint64_t count) {
  if (count > reader.remaining() / kMinTensorBytes) {
    return error(Code::kBadFile, "truncated at byte {}: {} tensors can't be in {} bytes",
                 reader.offset(), count, reader.remaining());
  }
  std::vector<Entry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    YQ_TRY(auto entry, read_entry(reader, i));
    entries.push_back(std::move(entry));
  }
  std::vector<std::string_view> names;
  names.reserve(count);
  for (const Entry& entry : entries) names.push_back(entry.tensor.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    return error(Code::kBadFile, "tensor {} stands in the file twice", *twice);
  }
  return entries;
}

Result<uint64_t> read_alignment(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.find("general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  if (value->type != GgufType::kU32) {
    return error(Code::kBadFile, "key general.alignment: want u32, found {}",
                 gguf_type_name(value->type));
  }
  const uint64_t alignment = gguf_unsigned(value->type, value->bytes.data());
  if (!std::has_single_bit(alignment) || alignment > kMaxGgufAlignment) {
    return error(Code::kBadFile, "key general.alignment: want a power of two up to {}, found {}",
                 kMaxGgufAlignment, alignment);
  }
  return alignment;
}

// The data rule: tensors may be listed in any order, but by offset they tile the data section. The
// first begins at 0, each next one where the one before ends, rounded up to the alignment; after
// the last come at most the bytes that round it up.
Status place_tensors(std::span<const std::byte> data, uint64_t alignment,
                     std::vector<Entry>& entries) {
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return entries[a].offset < entries[b].offset; });
  uint64_t end = 0;
  for (const uint32_t index : order) {
    Entry& entry = entries[index];
    const std::string_view name = entry.tensor.name;
    const auto want = checked_align_up(end, alignment);
    if (!want || entry.offset != *want) {
      return error(Code::kBadFile, "tensor {}: want data offset {}, found {} ({})", name,
                   want.value_or(0), entry.offset,
                   entry.offset < end ? "it overlaps the tensor before" : "a gap or misaligned");
    }
    if (entry.offset > data.size() || entry.size > data.size() - entry.offset) {
      return error(Code::kBadFile,
                   "truncated: tensor {} wants {} bytes at data offset {}, the file has {}", name,
                   entry.size, entry.offset, data.size());
    }
    entry.tensor.bytes = data.subspan(entry.offset, entry.size);
    end = entry.offset + entry.size;
  }
  if (data.size() - end >= alignment) {
    return error(Code::kBadFile, "{} bytes after the last tensor belong to nothing",
                 data.size() - end);
  }
  return Status::ok();
}

Result<uint32_t> read_version(BoundedReader& reader) {
  YQ_TRY(const auto magic, reader.read<uint32_t>());
  if (magic != kMagic) {
    return error(Code::kBadFile, "want the magic GGUF, found {:#010x}: this is no GGUF file",
                 magic);
  }
  YQ_TRY(const auto version, reader.read<uint32_t>());
  if ((version & 0xffff) == 0 && version != 0) {
    return error(Code::kUnsupported, "a big-endian GGUF file; convert it to little-endian");
  }
  if (version == 1) {
    return error(Code::kUnsupported, "GGUF version 1; want 2 or 3, convert the model again");
  }
  if (version != 2 && version != 3) {
    return error(Code::kBadFile, "want GGUF version 2 or 3, found {}", version);
  }
  return version;
}

}  // namespace

std::optional<uint32_t> ggml_type_of(DType dtype) {
  for (const GgmlType& type : kGgmlTypes) {
    if (type.dtype == dtype) return type.number;
  }
  return std::nullopt;
}

Result<GgufFile> parse_gguf(std::span<const std::byte> bytes) {
  GgufFile file;
  BoundedReader reader(bytes);
  YQ_TRY(file.version, read_version(reader));
  YQ_TRY(const auto tensor_count, reader.read<uint64_t>());
  YQ_TRY(const auto pair_count, reader.read<uint64_t>());
  if (tensor_count > kMaxTensorsPerFile) {
    return error(Code::kTooLarge, "want at most {} tensors, found {}", kMaxTensorsPerFile,
                 tensor_count);
  }
  YQ_TRY(auto pairs, read_pairs(bytes, reader, pair_count));
  YQ_TRY(file.metadata, GgufMetadata::make(std::move(pairs)));
  YQ_TRY(file.alignment, read_alignment(file.metadata));
  YQ_TRY(auto entries, read_entries(reader, tensor_count));

  // A file without tensors (a part that holds metadata only) may end unpadded.
  const auto data_begin = checked_align_up(reader.offset(), file.alignment);
  if (!data_begin || (!entries.empty() && *data_begin > bytes.size())) {
    return error(Code::kBadFile, "truncated at byte {}: the data section is missing", bytes.size());
  }
  const auto data = bytes.subspan(std::min<uint64_t>(*data_begin, bytes.size()));
  YQ_RETURN_IF_ERROR(place_tensors(data, file.alignment, entries));
  file.tensors.reserve(entries.size());
  for (Entry& entry : entries) file.tensors.push_back(std::move(entry.tensor));
  return file;
}

}  // namespace yunqi
