// What a page of tokens is called: a 128-bit hash chained over every token before it, so that equal
// keys mean equal prefixes. Keyed and salted, so that nobody can aim at a key or at another flow's;
// whoever finds a page by its key still compares the tokens. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace yunqi {

struct PrefixKey {
  uint64_t low = 0, high = 0;
  friend bool operator==(const PrefixKey&, const PrefixKey&) = default;
  std::string to_hex() const;  // 32 characters
};

// SipHash-2-4 with 128 bits of result (Aumasson & Bernstein, 2012).
PrefixKey siphash_128(const PrefixKey& key, std::span<const std::byte> bytes);

// Where the chains of one model, KV format and salt begin.
PrefixKey root_key(std::string_view identity, uint64_t salt);

// The key of the page that holds `tokens` after the one called `parent`.
PrefixKey child_key(const PrefixKey& parent, std::span<const int32_t> tokens);

}  // namespace yunqi
