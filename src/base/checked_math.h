// Arithmetic on sizes that come from files and clients: a wrap is a value (nullopt), never a size.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>

namespace yunqi {

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T out;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T out;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

// `value` rounded up to a multiple of `alignment`, a power of two; nullopt when that wraps or the
// alignment is not a power of two.
constexpr std::optional<uint64_t> checked_align_up(uint64_t value, uint64_t alignment) {
  if (!std::has_single_bit(alignment)) return std::nullopt;
  const auto sum = checked_add(value, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

}  // namespace yunqi
