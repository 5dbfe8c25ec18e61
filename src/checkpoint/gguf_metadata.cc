// Typed access to GGUF's key-value pairs: the type in the file is checked where a value is read,
// so that bytes never pass for numbers they are not.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/reader.h"
#include "checkpoint/gguf.h"

namespace yunqi {
namespace {

struct TypeInfo {
  std::string_view name;
  uint8_t bytes;
};
constexpr std::array<TypeInfo, 13> kTypes = {{
    {"u8", 1},
    {"i8", 1},
    {"u16", 2},
    {"i16", 2},
    {"u32", 4},
    {"i32", 4},
    {"f32", 4},
    {"bool", 1},
    {"string", 0},
    {"array", 0},
    {"u64", 8},
    {"i64", 8},
    {"f64", 8},
}};

template <typename T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

std::string type_text(const GgufValue& value) {
  if (value.type != GgufType::kArray) return std::string(gguf_type_name(value.type));
  return fmt::format("array of {} {}", value.count, gguf_type_name(value.element));
}

Status wrong_type(std::string_view key, std::string_view want, const GgufValue& value) {
  return error(Code::kBadFile, "key {}: want {}, found {}", key, want, type_text(value));
}

// The double whose shortest decimal is that of the float: 1e-06 instead of 9.99999997e-07.
double widen_decimally(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  double out = value;
  std::from_chars(text, end, out);
  return out;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) { return kTypes[static_cast<size_t>(type)].name; }
uint64_t gguf_type_bytes(GgufType type) { return kTypes[static_cast<size_t>(type)].bytes; }

bool gguf_is_signed(GgufType type) {
  return type == GgufType::kI8 || type == GgufType::kI16 || type == GgufType::kI32 ||
         type == GgufType::kI64;
}
bool gguf_is_unsigned(GgufType type) {
  return type == GgufType::kU8 || type == GgufType::kU16 || type == GgufType::kU32 ||
         type == GgufType::kU64;
}
bool gguf_is_real(GgufType type) { return type == GgufType::kF32 || type == GgufType::kF64; }

int64_t gguf_signed(GgufType type, const std::byte* bytes) {
  switch (type) {
    case GgufType::kI8:
      return load<int8_t>(bytes);
    case GgufType::kI16:
      return load<int16_t>(bytes);
    case GgufType::kI32:
      return load<int32_t>(bytes);
    default:
      return load<int64_t>(bytes);
  }
}

uint64_t gguf_unsigned(GgufType type, const std::byte* bytes) {
  switch (type) {
    case GgufType::kU8:
      return load<uint8_t>(bytes);
    case GgufType::kU16:
      return load<uint16_t>(bytes);
    case GgufType::kU32:
      return load<uint32_t>(bytes);
    default:
      return load<uint64_t>(bytes);
  }
}

double gguf_real(GgufType type, const std::byte* bytes) {
  return type == GgufType::kF32 ? widen_decimally(load<float>(bytes)) : load<double>(bytes);
}

Result<GgufMetadata> GgufMetadata::make(std::vector<GgufPair> pairs) {
  GgufMetadata out;
  out.pairs_ = std::move(pairs);
  out.by_key_.resize(out.pairs_.size());
  std::iota(out.by_key_.begin(), out.by_key_.end(), 0u);
  const auto key = [&](uint32_t index) { return out.pairs_[index].key; };
  std::sort(out.by_key_.begin(), out.by_key_.end(),
            [&](uint32_t a, uint32_t b) { return key(a) < key(b); });
  for (size_t i = 1; i < out.by_key_.size(); ++i) {
    if (key(out.by_key_[i - 1]) == key(out.by_key_[i])) {
      return error(Code::kBadFile, "key {} stands in the file twice", key(out.by_key_[i]));
    }
  }
  return out;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto at =
      std::lower_bound(by_key_.begin(), by_key_.end(), key,
                       [&](uint32_t i, std::string_view want) { return pairs_[i].key < want; });
  if (at == by_key_.end() || pairs_[*at].key != key) return nullptr;
  return &pairs_[*at].value;
}

Result<std::optional<int64_t>> GgufMetadata::integer(std::string_view key, int64_t low,
                                                     int64_t high) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::optional<int64_t>();
  int64_t number = 0;
  if (gguf_is_signed(value->type)) {
    number = gguf_signed(value->type, value->bytes.data());
  } else if (gguf_is_unsigned(value->type)) {
    const uint64_t wide = gguf_unsigned(value->type, value->bytes.data());
    if (wide > uint64_t{INT64_MAX}) {
      return error(Code::kBadFile, "key {}: want {} to {}, found {}", key, low, high, wide);
    }
    number = static_cast<int64_t>(wide);
  } else {
    return wrong_type(key, "an integer", *value);
  }
  if (number < low || number > high) {
    return error(Code::kBadFile, "key {}: want {} to {}, found {}", key, low, high, number);
  }
  return std::optional<int64_t>(number);
}

Result<std::optional<double>> GgufMetadata::real(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::optional<double>();
  if (!gguf_is_real(value->type)) return wrong_type(key, "f32", *value);
  const double number = gguf_real(value->type, value->bytes.data());
  if (!std::isfinite(number)) return error(Code::kBadFile, "key {}: want a finite number", key);
  return std::optional<double>(number);
}

Result<std::optional<std::string_view>> GgufMetadata::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::optional<std::string_view>();
  if (value->type != GgufType::kText) return wrong_type(key, "string", *value);
  return std::optional<std::string_view>(
      std::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size()));
}

Result<std::vector<std::string_view>> GgufMetadata::texts(std::string_view key,
                                                          uint64_t max_count) const {
  const GgufValue* value = find(key);
  std::vector<std::string_view> out;
  if (value == nullptr) return out;
  if (value->type != GgufType::kArray || value->element != GgufType::kText) {
    return wrong_type(key, "an array of string", *value);
  }
  if (value->count > max_count) {
    return error(Code::kTooLarge, "key {}: want at most {} items, found {}", key, max_count,
                 value->count);
  }
  out.reserve(value->count);
  BoundedReader reader(value->bytes);
  for (uint64_t i = 0; i < value->count; ++i) {
    YQ_TRY(const auto length, reader.read<uint64_t>());
    YQ_TRY(const auto text, reader.read_text(length));
    out.push_back(text);
  }
  return out;
}

Result<std::vector<int32_t>> GgufMetadata::int32s(std::string_view key, uint64_t max_count) const {
  const GgufValue* value = find(key);
  std::vector<int32_t> out;
  if (value == nullptr) return out;
  if (value->type != GgufType::kArray ||
      (value->element != GgufType::kI32 && value->element != GgufType::kU32)) {
    return wrong_type(key, "an array of i32", *value);
  }
  if (value->count > max_count) {
    return error(Code::kTooLarge, "key {}: want at most {} items, found {}", key, max_count,
                 value->count);
  }
  out.resize(value->count);
  if (!out.empty()) std::memcpy(out.data(), value->bytes.data(), value->bytes.size());
  return out;
}

}  // namespace yunqi
