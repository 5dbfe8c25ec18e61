// Every part changes the fingerprint, and what moves between two parts does too.
#include "runtime/fingerprint.h"

#include <gtest/gtest.h>

#include <set>

namespace yunqi {
namespace {

TEST(Fingerprint, EveryPartCounts) {
  std::string FingerprintParts::*const parts[] = {
      &FingerprintParts::build,   &FingerprintParts::kernels,   &FingerprintParts::checkpoint,
      &FingerprintParts::config,  &FingerprintParts::tokenizer, &FingerprintParts::chat_template,
      &FingerprintParts::packing, &FingerprintParts::kv,        &FingerprintParts::adapter,
      &FingerprintParts::rope,    &FingerprintParts::sampler};
  static_assert(sizeof(FingerprintParts) == std::size(parts) * sizeof(std::string));
  const FingerprintParts base;
  std::set<std::string> seen = {system_fingerprint(base)};
  for (const auto part : parts) {
    FingerprintParts changed = base;
    changed.*part = "x";
    EXPECT_TRUE(seen.insert(system_fingerprint(changed)).second);
  }
  EXPECT_EQ(system_fingerprint(base), system_fingerprint({}));
}

TEST(Fingerprint, PartsDoNotRunIntoEachOther) {
  FingerprintParts left, right;
  left.packing = "int8 kv 3";
  right.packing = "int8";
  right.kv = " kv 3";
  EXPECT_NE(system_fingerprint(left), system_fingerprint(right));
}

TEST(Fingerprint, LooksLikeOne) {
  const std::string id = system_fingerprint({});
  EXPECT_EQ(id.substr(0, 3), "fp_");
  EXPECT_EQ(id.size(), 19u);
  EXPECT_NE(build_name().find("yunqi-"), std::string::npos);
}

}  // namespace
}  // namespace yunqi
