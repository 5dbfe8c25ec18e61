// A program linked as ours are has a build id: hex, and always the same.
#include "base/build_id.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

TEST(BuildId, IsHexAndStays) {
  const std::string id = build_id();
  EXPECT_GE(id.size(), 16u) << "link with --build-id: receipts name the build by it";
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
  EXPECT_EQ(build_id(), id);
}

}  // namespace
}  // namespace yunqi
