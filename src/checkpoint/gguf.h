// The GGUF container as a validated view over its bytes: key-value pairs and tensors, nothing
// copied but names of few bytes. Layout and rules: docs/formats/gguf.md. Values are immutable; any
// thread. Internal to checkpoint/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"

namespace yunqi {

// Numbers as the file stores them.
enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64,
};
std::string_view gguf_type_name(GgufType type);

struct GgufValue {
  GgufType type = GgufType::kU8;
  GgufType element = GgufType::kU8;  // an array's element type; else the same as `type`
  uint64_t count = 1;                // an array's length
  // The elements, little-endian; a text's characters; an array of texts with its length prefixes.
  std::span<const std::byte> bytes;
};

struct GgufPair {
  std::string_view key;
  GgufValue value;
};

// One number widened: exactly one kind is meant, as `type` says. Unaligned bytes are fine.
int64_t gguf_signed(GgufType type, const std::byte* bytes);     // kI8, kI16, kI32, kI64, kBool
uint64_t gguf_unsigned(GgufType type, const std::byte* bytes);  // kU8, kU16, kU32, kU64
double gguf_real(GgufType type, const std::byte* bytes);        // kF32, kF64
bool gguf_is_signed(GgufType type);
bool gguf_is_unsigned(GgufType type);
bool gguf_is_real(GgufType type);
// Bytes of one element; 0 for texts and arrays.
uint64_t gguf_type_bytes(GgufType type);

// Key-value pairs in the file's order, no key twice. The typed getters answer nullopt for an absent
// key and kBadFile, naming the key and both types, for a value of another type.
class GgufMetadata {
 public:
  static Result<GgufMetadata> make(std::vector<GgufPair> pairs);

  std::span<const GgufPair> pairs() const { return pairs_; }
  const GgufValue* find(std::string_view key) const;

  // Any integer type whose value is in [low, high].
  Result<std::optional<int64_t>> integer(std::string_view key, int64_t low, int64_t high) const;
  // kF32 or kF64, finite. A kF32 comes as the shortest decimal that means it: 1e-06.
  Result<std::optional<double>> real(std::string_view key) const;
  Result<std::optional<std::string_view>> text(std::string_view key) const;
  // Arrays; empty when absent, kTooLarge over `max_count`.
  Result<std::vector<std::string_view>> texts(std::string_view key, uint64_t max_count) const;
  Result<std::vector<int32_t>> int32s(std::string_view key, uint64_t max_count) const;

 private:
  std::vector<GgufPair> pairs_;
  std::vector<uint32_t> by_key_;  // indices into pairs_, sorted by key
};

struct GgufTensor {
  std::string_view name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major: the file's dimensions in reverse
  std::span<const std::byte> bytes;
};

struct GgufFile {
  uint32_t version = 0;
  uint64_t alignment = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the file's order
};

// Checks everything about the container; the result borrows `bytes`. kBadFile for malformed bytes,
// kUnsupported for version 1, big-endian files and tensor types we name but do not read, kTooLarge
// for counts over limits.h. Messages carry no path: the caller adds it.
Result<GgufFile> parse_gguf(std::span<const std::byte> bytes);

// GGUF's number of a tensor type, where there is one (all but kF8E4M3, kU8, kBool).
std::optional<uint32_t> ggml_type_of(DType dtype);

}  // namespace yunqi
