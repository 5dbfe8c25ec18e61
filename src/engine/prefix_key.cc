// See prefix_key.h.
#include "engine/prefix_key.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/sha256.h"

namespace yunqi {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void absorb(uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  uint64_t result() const { return v0 ^ v1 ^ v2 ^ v3; }
};

uint64_t little_endian(const std::byte* bytes, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i) word |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return word;
}

}  // namespace

std::string PrefixKey::to_hex() const { return fmt::format("{:016x}{:016x}", high, low); }

PrefixKey siphash_128(const PrefixKey& key, std::span<const std::byte> bytes) {
  SipState state{key.low ^ 0x736f6d6570736575u, key.high ^ 0x646f72616e646f6du ^ 0xee,
                 key.low ^ 0x6c7967656e657261u, key.high ^ 0x7465646279746573u};
  const size_t whole = bytes.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) state.absorb(little_endian(bytes.data() + i, 8));
  state.absorb(little_endian(bytes.data() + whole, bytes.size() - whole) |
               static_cast<uint64_t>(bytes.size()) << 56);
  state.v2 ^= 0xee;
  state.rounds(4);
  PrefixKey out;
  out.low = state.result();
  state.v1 ^= 0xdd;
  state.rounds(4);
  out.high = state.result();
  return out;
}

PrefixKey root_key(std::string_view identity, uint64_t salt) {
  const Sha256Digest digest = sha256(fmt::format("yunqi kv pages 1\n{}\n{:016x}", identity, salt));
  PrefixKey key;
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

PrefixKey child_key(const PrefixKey& parent, std::span<const int32_t> tokens) {
  return siphash_128(parent, std::as_bytes(tokens));
}

}  // namespace yunqi
