// Pages on disk: they come back after a restart, only if they are whole, and only so many.
#include "engine/disk_cache.h"

#include <gtest/gtest.h>

#include <fstream>

namespace yunqi {
namespace {

namespace fs = std::filesystem;

class DiskCacheTest : public testing::Test {
 protected:
  static constexpr int32_t kTokens = 4;
  static constexpr uint64_t kBytes = 1000;

  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / (std::string("yunqi-disk-cache-") +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    options_.folder = folder_;
    options_.identity = "model";
    options_.page_bytes = kBytes;
    options_.page_tokens = kTokens;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<DiskCache> open() { return DiskCache::open(options_, {}).value(); }

  static DiskPage page(int32_t number) {
    DiskPage page;
    page.parent = root_key("model", 0);
    page.tokens = {number, 2, 3, 4};
    page.key = child_key(page.parent, page.tokens);
    page.bytes.resize(kBytes);
    for (size_t i = 0; i < kBytes; ++i) page.bytes[i] = static_cast<std::byte>(number + i);
    return page;
  }
  static void store(DiskCache& cache, int32_t number) {
    cache.store(page(number));
    cache.flush();
  }
  // The bytes of the page as the cache gives them back; empty: a miss.
  static std::vector<std::byte> load(DiskCache& cache, const DiskPage& page) {
    EXPECT_TRUE(cache.load(page.key, page.parent, page.tokens));
    cache.flush();
    auto loaded = cache.take_loaded();
    EXPECT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->key, page.key);
    return loaded->bytes;
  }
  // The only file there is.
  Path file() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) return entry.path();
    }
    return {};
  }
  size_t files() const {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  Path folder_;
  DiskCacheOptions options_;
};

TEST_F(DiskCacheTest, PagesOutliveTheProcess) {
  {
    const auto cache = open();
    EXPECT_TRUE(cache->wants(page(1).key));
    store(*cache, 1);
    EXPECT_FALSE(cache->wants(page(1).key));
    EXPECT_EQ(load(*cache, page(1)), page(1).bytes);
  }
  const auto cache = open();
  EXPECT_TRUE(cache->contains(page(1).key));
  EXPECT_FALSE(cache->contains(page(2).key));
  EXPECT_EQ(load(*cache, page(1)), page(1).bytes);
  EXPECT_EQ(cache->stats().loaded, 1u);
}

TEST_F(DiskCacheTest, NobodyElseMayRead) {
  store(*open(), 1);
  EXPECT_EQ(fs::status(file().parent_path()).permissions(), fs::perms::owner_all);
}

TEST_F(DiskCacheTest, EveryFlippedByteIsAMissAndTheFileGoes) {
  for (size_t at = 0; at < 88 + 16 + kBytes + 32; at += 29) {
    const auto cache = open();
    store(*cache, 1);
    std::fstream stream(file(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const int old = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(old ^ 0x10));
    stream.close();
    EXPECT_TRUE(load(*cache, page(1)).empty()) << "byte " << at;
    EXPECT_FALSE(cache->contains(page(1).key));
    EXPECT_EQ(files(), 0u);
  }
}

TEST_F(DiskCacheTest, ShortAndMissingFilesAreMisses) {
  {
    const auto cache = open();
    store(*cache, 1);
    fs::resize_file(file(), 500);
    EXPECT_TRUE(load(*cache, page(1)).empty());
    store(*cache, 1);
    fs::remove(file());
    EXPECT_TRUE(load(*cache, page(1)).empty());
    EXPECT_EQ(cache->stats().bad, 2u);
    store(*cache, 1);
    fs::resize_file(file(), 500);
  }
  EXPECT_FALSE(open()->contains(page(1).key));  // not even listed
  EXPECT_EQ(files(), 0u);
}

TEST_F(DiskCacheTest, AFileUnderAnothersNameIsAMiss) {
  const auto cache = open();
  store(*cache, 1);
  DiskPage other = page(2);
  fs::copy_file(file(), file().parent_path() / (other.key.to_hex() + ".kv"));
  EXPECT_TRUE(load(*cache, other).empty());
  other = page(1);
  other.tokens[3] = 9;  // the same key, other tokens
  EXPECT_TRUE(load(*cache, other).empty());
}

TEST_F(DiskCacheTest, OtherModelsSeeNothing) {
  store(*open(), 1);
  options_.identity = "other";
  EXPECT_FALSE(open()->contains(page(1).key));
  options_.identity = "model";
  options_.page_bytes = 999;
  EXPECT_FALSE(open()->contains(page(1).key));
}

TEST_F(DiskCacheTest, KeepsToItsBytesAndLetsTheOldestGo) {
  options_.max_bytes = 3 * (88 + 16 + kBytes + 32);
  const auto cache = open();
  for (int32_t i = 1; i <= 3; ++i) store(*cache, i);
  EXPECT_EQ(load(*cache, page(1)), page(1).bytes);  // used: 2 is the oldest now
  store(*cache, 4);
  EXPECT_TRUE(cache->contains(page(1).key));
  EXPECT_FALSE(cache->contains(page(2).key));
  EXPECT_EQ(files(), 3u);
  EXPECT_LE(cache->stats().bytes, options_.max_bytes);
}

TEST_F(DiskCacheTest, WithoutRoomForOneItKeepsNone) {
  options_.max_bytes = 88 + 16 + kBytes + 32 - 1;
  const auto cache = open();
  EXPECT_FALSE(cache->wants(page(1).key));
  store(*cache, 1);
  EXPECT_EQ(files(), 0u);
  EXPECT_TRUE(load(*cache, page(1)).empty());
}

TEST_F(DiskCacheTest, LoadsAreBoundedUntilTheyAreTaken) {
  const auto cache = open();
  for (size_t i = 0; i < DiskCache::kMaxLoads; ++i) {
    EXPECT_TRUE(cache->load(page(1).key, page(1).parent, page(1).tokens));
  }
  EXPECT_FALSE(cache->load(page(1).key, page(1).parent, page(1).tokens));
  cache->flush();
  EXPECT_TRUE(cache->take_loaded()->bytes.empty());
  EXPECT_TRUE(cache->load(page(1).key, page(1).parent, page(1).tokens));
}

TEST_F(DiskCacheTest, AFolderThatCannotBeIsSaid) {
  std::ofstream(folder_) << "a file";
  const auto cache = DiskCache::open(options_, {});
  ASSERT_FALSE(cache.is_ok());
  EXPECT_EQ(cache.status().code(), Code::kNoResources);
}

TEST_F(DiskCacheTest, PartsOfAnEarlierCrashAreCleared) {
  store(*open(), 1);
  std::ofstream(file().parent_path() / "abc.kv.part") << "half";
  open();
  EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace yunqi
