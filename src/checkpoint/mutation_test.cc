// Mutated weight files: every prefix of good ones, and YUNQI_MUTATIONS (5,000 when unset) files
// damaged in ways that hurt parsers. Each must be refused or loaded, and what is loaded must be
// readable to its last byte. Meant for a build with -fsanitize=address,undefined.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "checkpoint/assembled.h"
#include "checkpoint/test_files.h"

namespace yunqi {
namespace {

using test::bytes_of;

constexpr uint64_t kExtremes[] = {
    0,          1,          2,           3,          7,          31,          32,
    33,         0x7f,       0xff,        0x7fff,     0xffff,     0x10000,     0x7fffffff,
    0x80000000, 0xffffffff, 0x100000000, 1ull << 42, 1ull << 61, 1ull << 62,  (1ull << 62) - 1,
    1ull << 63, ~0ull,      ~0ull - 31,  ~0ull - 7,  1ull << 60, 100'000'001,
};

int mutation_count() {
  const char* text = std::getenv("YUNQI_MUTATIONS");
  return text == nullptr ? 5'000 : std::atoi(text);
}

// Damages a file in one to four ways; the same seed does the same.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string mutate(std::string bytes) {
    for (int i = below(4); i >= 0; --i) apply_one(bytes);
    return bytes;
  }

 private:
  int below(size_t count) {
    return count < 2 ? 0 : static_cast<int>(random_() % static_cast<uint64_t>(count));
  }
  size_t place(const std::string& bytes) { return static_cast<size_t>(below(bytes.size() + 1)); }
  // A part of the file; short ones are the likely ones.
  std::string_view slice(const std::string& bytes) {
    const size_t begin = place(bytes);
    const size_t most = below(2) == 0 ? 16 : bytes.size();
    return std::string_view(bytes).substr(begin, static_cast<size_t>(below(most + 1)));
  }

  template <typename T>
  void put_extreme(std::string& bytes) {
    if (bytes.size() < sizeof(T)) return;
    const auto at = static_cast<size_t>(below(bytes.size() - sizeof(T) + 1));
    const auto value = static_cast<T>(kExtremes[below(std::size(kExtremes))]);
    std::memcpy(bytes.data() + at, &value, sizeof(value));
  }

  void apply_one(std::string& bytes) {
    switch (below(10)) {
      case 0:
      case 1:
        if (!bytes.empty()) bytes[place(bytes) % bytes.size()] ^= static_cast<char>(1 << below(8));
        return;
      case 2:
        if (!bytes.empty()) bytes[place(bytes) % bytes.size()] = static_cast<char>(below(256));
        return;
      case 3:
      case 4:
        return put_extreme<uint64_t>(bytes);
      case 5:
        return put_extreme<uint32_t>(bytes);
      case 6:
        bytes.resize(place(bytes));
        return;
      case 7: {  // a part twice
        const std::string part(slice(bytes));
        bytes.insert(place(bytes), part);
        return;
      }
      case 8: {  // a part over another
        const std::string part(slice(bytes));
        const size_t at = place(bytes);
        bytes.replace(at, std::min(part.size(), bytes.size() - at), part);
        return;
      }
      default: {  // a part gone
        const size_t at = place(bytes);
        bytes.erase(at, static_cast<size_t>(below(64)));
        return;
      }
    }
  }

  std::mt19937_64 random_;
};

// Reads all that a checkpoint offers.
uint64_t touch(const Checkpoint& checkpoint) {
  uint64_t sum = 0;
  for (const Tensor& tensor : checkpoint.tensors()) {
    EXPECT_EQ(dtype_bytes(tensor.dtype, static_cast<uint64_t>(tensor.elements())),
              tensor.bytes.size());
    EXPECT_NE(checkpoint.find(tensor.name), nullptr);
    for (const std::byte byte : tensor.bytes) sum += static_cast<uint64_t>(byte);
  }
  for (const std::string_view token : checkpoint.tokenizer().gguf_tokens) {
    for (const char c : token) sum += static_cast<uint8_t>(c);
  }
  return sum + checkpoint.metadata().dump().size() + checkpoint.config().dump().size() +
         checkpoint.fingerprint().size();
}

struct Kind {
  std::string good;
  Result<std::unique_ptr<Checkpoint>> (*open)(std::span<const std::byte> bytes);
  std::chrono::nanoseconds slowest{0};
};

Result<std::unique_ptr<Checkpoint>> open_safetensors(std::span<const std::byte> bytes) {
  return open_safetensors_bytes("{}", bytes);
}

// Opens an exact copy on the heap, so that the sanitizer sees one byte too far.
bool survives(Kind& kind, const std::string& bytes) {
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const auto start = std::chrono::steady_clock::now();
  const auto opened = kind.open(std::as_bytes(std::span(copy)));
  if (opened.is_ok()) {
    EXPECT_GT(touch(**opened), 0u);
  } else {
    EXPECT_FALSE(opened.status().message().empty());
    EXPECT_EQ(opened.status().message().find('\n'), std::string::npos);
    EXPECT_NE(opened.status().code(), Code::kInternal);
  }
  // Far beyond what any file of this size takes; a hang is what this finds.
  const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - start;
  EXPECT_LT(taken, std::chrono::seconds(60));
  kind.slowest = std::max(kind.slowest, taken);
  return opened.is_ok();
}

void mutate_many(Kind kind, uint64_t seed) {
  ASSERT_TRUE(survives(kind, kind.good));
  for (size_t size = 0; size < kind.good.size(); ++size) {
    ASSERT_FALSE(survives(kind, kind.good.substr(0, size))) << size;
  }
  Mutator mutator(seed);
  const int count = mutation_count();
  int loaded = 0;
  for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    loaded += survives(kind, mutator.mutate(kind.good)) ? 1 : 0;
  }
  // Both ends of the loader are exercised: some damage is harmless, most is not.
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, count);
  ::testing::Test::RecordProperty("loaded", loaded);
  ::testing::Test::RecordProperty("slowest_us", static_cast<int>(kind.slowest.count() / 1'000));
}

TEST(Mutation, Gguf) { mutate_many({test::tiny_gguf().bytes(), open_gguf_bytes, {}}, 20261122); }

TEST(Mutation, Safetensors) {
  mutate_many({test::tiny_safetensors(), open_safetensors, {}}, 20261123);
}

}  // namespace
}  // namespace yunqi
