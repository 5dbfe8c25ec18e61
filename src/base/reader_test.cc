// Tests of reader.h: reads at the end and one byte over it.
#include "base/reader.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(BoundedReader, ReadsLittleEndianToTheLastByte) {
  BoundedReader reader(bytes_of(std::string_view("\x01\x02\x03\x04\xFF", 5)));
  EXPECT_EQ(*reader.read<uint32_t>(), 0x04030201u);
  EXPECT_EQ(reader.offset(), 4u);
  EXPECT_EQ(*reader.read<int8_t>(), -1);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.read<uint8_t>().status().code(), Code::kBadFile);
}

TEST(BoundedReader, AFailedReadMovesNothing) {
  BoundedReader reader(bytes_of("abc"));
  EXPECT_FALSE(reader.read<uint32_t>().is_ok());
  EXPECT_EQ(reader.offset(), 0u);
  EXPECT_EQ(reader.read<uint64_t>().status().message(),
            "truncated at byte 0: want 8 more bytes, file has 3");
  EXPECT_EQ(*reader.read_text(3), "abc");
}

TEST(BoundedReader, HugeCountsAreErrors) {
  BoundedReader reader(bytes_of("abc"));
  EXPECT_TRUE(reader.read_bytes(1).is_ok());
  EXPECT_FALSE(reader.read_bytes(UINT64_MAX).is_ok());
  EXPECT_FALSE(reader.read_text(UINT64_MAX - 1).is_ok());
  EXPECT_FALSE(reader.read_bytes(3).is_ok());
  EXPECT_EQ(reader.read_bytes(2)->size(), 2u);
  EXPECT_TRUE(reader.read_bytes(0).is_ok());
}

}  // namespace
}  // namespace yunqi
