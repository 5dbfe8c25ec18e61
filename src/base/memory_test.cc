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

}  // namespace
}  // namespace yunqi
