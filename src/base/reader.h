// A cursor over untrusted bytes: every read is bounds-checked and answers, never crashes.
// Little-endian, as all our formats are. Not thread-safe; a value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/result.h"

namespace yunqi {

class BoundedReader {
 public:
  explicit BoundedReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }

  template <typename T>
    requires std::is_arithmetic_v<T>
  Result<T> read() {
    if (remaining() < sizeof(T)) return truncated(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  // A view of the next `count` bytes, valid as long as the underlying bytes.
  Result<std::span<const std::byte>> read_bytes(uint64_t count) {
    if (remaining() < count) return truncated(count);
    const auto out = bytes_.subspan(offset_, count);
    offset_ += count;
    return out;
  }

  Result<std::string_view> read_text(uint64_t count) {
    YQ_TRY(const auto bytes, read_bytes(count));
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  Status truncated(uint64_t wanted) const {
    return error(Code::kBadFile, "truncated at byte {}: want {} more bytes, file has {}", offset_,
                 wanted, remaining());
  }

  std::span<const std::byte> bytes_;
  uint64_t offset_ = 0;
};

}  // namespace yunqi
