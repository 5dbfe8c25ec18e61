// MODEL's forms, and that no name leads out of a folder or an URL's path.
#include "hub/model_ref.h"

#include <gtest/gtest.h>

#include <set>

namespace yunqi {
namespace {

using Kind = ModelRef::Kind;

TEST(ModelRef, CatalogueNames) {
  auto ref = parse_model_ref("Qwen3:0.6B");
  ASSERT_TRUE(ref.is_ok());
  EXPECT_EQ(ref->kind, Kind::kCatalogue);
  EXPECT_EQ(ref->name, "qwen3:0.6b");
  EXPECT_TRUE(parse_model_ref("qwen2.5-coder").is_ok());
}

TEST(ModelRef, Hubs) {
  auto ref = parse_model_ref("hf:Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf");
  ASSERT_TRUE(ref.is_ok());
  EXPECT_EQ(ref->kind, Kind::kHuggingFace);
  EXPECT_EQ(ref->repo, "Qwen/Qwen3-0.6B-GGUF");
  EXPECT_EQ(ref->file, "Qwen3-0.6B-Q8_0.gguf");
  EXPECT_EQ(ref->name, "hf:Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf");
  ref = parse_model_ref("ms:Qwen/Qwen3-0.6B");
  ASSERT_TRUE(ref.is_ok());
  EXPECT_EQ(ref->kind, Kind::kModelScope);
  EXPECT_EQ(ref->file, "");
  EXPECT_TRUE(parse_model_ref("hf:a/b:sub/folder/x.gguf").is_ok());
}

TEST(ModelRef, Urls) {
  auto ref = parse_model_ref("https://example.org/models/a.gguf?download=1#part");
  ASSERT_TRUE(ref.is_ok());
  EXPECT_EQ(ref->kind, Kind::kUrl);
  EXPECT_EQ(ref->url, "https://example.org/models/a.gguf?download=1");
  EXPECT_EQ(ref->file, "a.gguf");
  for (const char* bad :
       {"https://example.org", "https://example.org/", "https://example.org/a.zip",
        "https://user:secret@example.org/a.gguf", "https://example.org/..%2fa.gguf",
        "https://example.org/?x=/a.gguf", "https:///a.gguf", "https://example.org/.gguf"}) {
    EXPECT_EQ(parse_model_ref(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(ModelRef, Paths) {
  for (const char* path : {"/models/a", "./a", "../a.gguf", "a/b", "a.gguf", "A.GGUF"}) {
    auto ref = parse_model_ref(path);
    ASSERT_TRUE(ref.is_ok()) << path;
    EXPECT_EQ(ref->kind, Kind::kPath) << path;
  }
}

TEST(ModelRef, TraversalAndInjectionAreRefused) {
  for (const std::string bad : {"hf:../../etc",
                                "hf:a/..",
                                "hf:../b",
                                "hf:a/b/c",
                                "hf:a",
                                "hf:/b",
                                "hf:a/",
                                "hf:",
                                "hf:a/b:../x.gguf",
                                "hf:a/b:/etc/passwd",
                                "hf:a/b:x/../../y",
                                "hf:a/b:",
                                "hf:a/b:x//y",
                                "hf:a/b:.hidden",
                                "hf:a/b:-flag",
                                "hf:a/b:x\\y",
                                "hf:a/b?x=1",
                                "hf:a/b#c",
                                "hf:a%2f/b",
                                "hf:a b/c",
                                "hf:a/b:x\ny",
                                "ms:a/b:x:y",
                                "hf:.a/b",
                                "hf:-a/b",
                                "qwen3:",
                                ":0.6b",
                                "qwen3:0.6b:x",
                                "qwen 3",
                                "-qwen3",
                                "qwen3;id",
                                "qwen3\xff",
                                "sha256:../../x\x01",
                                ""}) {
    auto ref = parse_model_ref(bad);
    EXPECT_TRUE(!ref.is_ok() || ref->kind == Kind::kPath) << bad;
    if (bad.starts_with("hf:") || bad.starts_with("ms:")) {
      EXPECT_EQ(ref.status().code(), Code::kInvalidArgument) << bad;
    }
  }
  EXPECT_FALSE(parse_model_ref(std::string("a\0b", 3)).is_ok());
}

TEST(ModelRef, LimitsAreExact) {
  EXPECT_TRUE(check_repo_name("a/" + std::string(96, 'b')).is_ok());
  EXPECT_FALSE(check_repo_name("a/" + std::string(97, 'b')).is_ok());
  EXPECT_TRUE(check_file_name(std::string(kMaxFileNameBytes, 'a')).is_ok());
  EXPECT_FALSE(check_file_name(std::string(kMaxFileNameBytes + 1, 'a')).is_ok());
  std::string deep = "a";
  for (size_t i = 1; i < kMaxFileNameParts; ++i) deep += "/a";
  EXPECT_TRUE(check_file_name(deep).is_ok());
  EXPECT_FALSE(check_file_name(deep + "/a").is_ok());
  EXPECT_TRUE(parse_model_ref("/" + std::string(kMaxModelRefBytes - 1, 'a')).is_ok());
  EXPECT_FALSE(parse_model_ref("/" + std::string(kMaxModelRefBytes, 'a')).is_ok());
}

TEST(ModelRef, Sha256IsStrict) {
  EXPECT_TRUE(is_sha256_hex(std::string(64, 'a')));
  for (const std::string& bad :
       {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'), std::string(64, 'g'),
        std::string(61, 'a') + "/..", "sha256:" + std::string(57, 'a')}) {
    EXPECT_FALSE(is_sha256_hex(bad)) << bad;
  }
}

TEST(ModelRef, StoreFolderNamesAreSafeAndDistinct) {
  std::set<std::string> seen;
  for (const std::string& name :
       {std::string("qwen3:0.6b"), std::string("qwen3-0.6b"), std::string("../../etc/passwd"),
        std::string("hf:a/b:c"), std::string("hf:a/b-c"), std::string("."), std::string(".."),
        std::string(), std::string("a\0b", 3), std::string(5000, 'x'), std::string(5001, 'x')}) {
    const std::string folder = store_folder_name(name);
    EXPECT_TRUE(seen.insert(folder).second) << name;
    EXPECT_TRUE(check_file_name("x" + folder).is_ok()) << folder;
    EXPECT_NE(folder[0], '.');
    EXPECT_LE(folder.size(), 100u);
  }
}

}  // namespace
}  // namespace yunqi
