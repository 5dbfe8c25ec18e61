// Tests of memory.h: what the machine says it has left.
#include "base/memory.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

TEST(MemoryTest, ReadsMemAvailable) {
  EXPECT_EQ(parse_available_memory("MemTotal:  100 kB\nMemAvailable:    7 kB\nBuffers: 1 kB\n"),
            uint64_t{7 * 1024});
}

TEST(MemoryTest, SaysNothingWithoutAUsableField) {
  EXPECT_EQ(parse_available_memory("MemTotal: 100 kB\n"), std::nullopt);
  EXPECT_EQ(parse_available_memory("MemAvailable: lots kB\n"), std::nullopt);
  EXPECT_EQ(parse_available_memory("MemAvailable: 18446744073709551615 kB\n"), std::nullopt);
}

TEST(MemoryTest, ThisMachineHasSome) { EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20); }

TEST(MemoryTest, MapsZeroedAlignedMemoryOfAnySize) {
  for (const size_t bytes : {size_t{1}, size_t{2} << 20, (size_t{5} << 20) + 1}) {
    auto* const data = static_cast<unsigned char*>(map_memory(bytes));
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % (size_t{2} << 20), 0u);
    EXPECT_EQ(data[0], 0);
    EXPECT_EQ(data[bytes - 1], 0);
    data[0] = data[bytes - 1] = 1;
    unmap_memory(data, bytes);
  }
  EXPECT_EQ(map_memory(0), nullptr);
  EXPECT_EQ(map_memory(~size_t{0}), nullptr);
}

}  // namespace
}  // namespace yunqi
