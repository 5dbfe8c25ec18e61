// The store: what is whole is listed, what is not is not, and nothing outside it is touched.
#include "hub/store.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.h"
#include "base/sha256.h"
#include "hub/model_ref.h"
#include "hub/sources.h"

namespace yunqi {
namespace {

class Store : public testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kOff);
    std::filesystem::remove_all(home_);
  }
  void TearDown() override { std::filesystem::remove_all(home_); }

  // Installs a model of one file with this content.
  Result<InstalledModel> install(const std::string& name, const std::string& content,
                                 int64_t now = 1000) {
    const Path folder = store_.partial_folder(name) / "model";
    std::filesystem::create_directories(folder);
    EXPECT_TRUE(write_file_atomically(folder / "m.gguf", content).is_ok());
    EXPECT_TRUE(write_file_atomically(folder / "stranger.gguf", "left by an older try").is_ok());
    const FetchedModel model{
        {{"m.gguf", content.size(), to_hex(sha256(content))}}, false, "test:source"};
    return store_.install(name, model, folder, now);
  }

  Path folder_of(const std::string& name) const {
    return home_ / "models" / store_folder_name(name);
  }

  const Path home_ =
      Path(testing::TempDir()) /
      (std::string("yunqi-store-") + testing::UnitTest::GetInstance()->current_test_info()->name());
  ModelStore store_{home_};
};

TEST_F(Store, InstallListFindRemove) {
  EXPECT_TRUE(store_.list()->empty());
  auto model = install("qwen3:0.6b", "content", 5);
  ASSERT_TRUE(model.is_ok()) << model.status().to_string();
  EXPECT_EQ(model->name, "qwen3:0.6b");
  EXPECT_EQ(model->bytes, 7u);
  EXPECT_EQ(model->sha256, to_hex(sha256("content")));
  EXPECT_EQ(model->source, "test:source");
  EXPECT_EQ(model->installed_at, 5);
  EXPECT_EQ(*read_file(model->path), "content");
  EXPECT_FALSE(std::filesystem::exists(folder_of("qwen3:0.6b") / "stranger.gguf"));
  ASSERT_TRUE(install("b", "x", 9).is_ok());
  ASSERT_TRUE(install("a", "x", 9).is_ok());
  const auto list = store_.list();
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].name, "a");
  EXPECT_EQ((*list)[1].name, "b");
  EXPECT_EQ((*list)[2].name, "qwen3:0.6b");
  EXPECT_TRUE(store_.remove("qwen3:0.6b").is_ok());
  EXPECT_FALSE(std::filesystem::exists(folder_of("qwen3:0.6b")));
  EXPECT_EQ(store_.find("qwen3:0.6b").status().code(), Code::kNotFound);
  EXPECT_EQ(store_.remove("qwen3:0.6b").code(), Code::kNotFound);
  EXPECT_EQ(store_.list()->size(), 2u);
}

TEST_F(Store, AFolderModelIsItsFolder) {
  const Path folder = store_.partial_folder("f") / "model";
  std::filesystem::create_directories(folder / "1_Pooling");
  ASSERT_TRUE(write_file_atomically(folder / "config.json", "{}").is_ok());
  ASSERT_TRUE(write_file_atomically(folder / "1_Pooling" / "config.json", "{1}").is_ok());
  const FetchedModel model{{{"config.json", 2, std::string(64, 'a')},
                            {"1_Pooling/config.json", 3, std::string(64, 'b')}},
                           true,
                           "test"};
  auto installed = store_.install("f", model, folder, 1);
  ASSERT_TRUE(installed.is_ok()) << installed.status().to_string();
  EXPECT_EQ(installed->path, folder_of("f"));
  EXPECT_EQ(installed->bytes, 5u);
  EXPECT_EQ(installed->sha256, to_hex(sha256(std::string(64, 'a') + "  config.json\n" +
                                             std::string(64, 'b') + "  1_Pooling/config.json\n")));
}

TEST_F(Store, BrokenModelsAreNotListed) {
  const auto break_with = [&](const std::string& from, const std::string& to) {
    EXPECT_TRUE(install("m", "content").is_ok());
    const Path manifest = folder_of("m") / "model.json";
    std::string text = *read_file(manifest);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
    ASSERT_TRUE(write_file_atomically(manifest, text).is_ok());
    EXPECT_EQ(store_.find("m").status().code(), Code::kBadFile) << to;
    EXPECT_TRUE(store_.list()->empty()) << to;
    EXPECT_TRUE(store_.remove("m").is_ok());
  };
  break_with("{", "[");
  break_with("\"version\": 1", "\"version\": 2");
  break_with("\"name\": \"m\"", "\"name\": \"n\"");
  break_with("\"path\": \"m.gguf\"", "\"path\": \"../../secret\"");
  break_with("\"name\": \"m.gguf\"", "\"name\": \"/etc/passwd\"");
  break_with("\"name\": \"m.gguf\"", "\"name\": \"other.gguf\"");
  break_with("\"bytes\": 7,\n      \"sha256\"", "\"bytes\": 8,\n      \"sha256\"");

  ASSERT_TRUE(install("m", "content").is_ok());
  std::filesystem::resize_file(folder_of("m") / "m.gguf", 3);
  EXPECT_EQ(store_.find("m").status().code(), Code::kBadFile);
  // A good pull takes the place of the broken one.
  EXPECT_TRUE(install("m", "content").is_ok());
}

TEST_F(Store, HalfPullsAndOtherFoldersAreNotModels) {
  std::filesystem::create_directories(store_.partial_folder("half") / "model");
  std::filesystem::create_directories(home_ / "models" / "no-manifest");
  ASSERT_TRUE(write_file_atomically(home_ / "models" / "a-file", "x").is_ok());
  EXPECT_TRUE(store_.list()->empty());
  EXPECT_TRUE(store_.remove("half").is_ok());
  EXPECT_FALSE(std::filesystem::exists(store_.partial_folder("half")));
}

TEST_F(Store, RemoveDeletesOnlyInsideTheStore) {
  const Path outside = home_ / "outside";
  std::filesystem::create_directories(outside);
  ASSERT_TRUE(write_file_atomically(outside / "keep", "x").is_ok());
  std::filesystem::create_directories(home_ / "models");
  std::filesystem::create_directory_symlink(outside, folder_of("link"));
  EXPECT_TRUE(store_.remove("link").is_ok());
  EXPECT_FALSE(std::filesystem::exists(folder_of("link")));
  ASSERT_TRUE(install("m", "content").is_ok());
  std::filesystem::create_directory_symlink(outside, folder_of("m") / "link");
  EXPECT_TRUE(store_.remove("m").is_ok());
  for (const char* name : {"../outside", "..", ".", "", "/"}) {
    EXPECT_EQ(store_.remove(name).code(), Code::kNotFound) << name;
  }
  EXPECT_EQ(*read_file(outside / "keep"), "x");
}

TEST_F(Store, HomeFollowsTheEnvironment) {
  ::setenv("YUNQI_HOME", "/x/y", 1);
  EXPECT_EQ(yunqi_home(), Path("/x/y"));
  ::unsetenv("YUNQI_HOME");
  ::setenv("XDG_DATA_HOME", "/data", 1);
  EXPECT_EQ(yunqi_home(), Path("/data/yunqi"));
  ::unsetenv("XDG_DATA_HOME");
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(yunqi_home(), Path("/home/me/.local/share/yunqi"));
}

TEST_F(Store, FindTakesPathsAndSaysHowToGetTheRest) {
  Hub hub(home_);
  std::filesystem::create_directories(home_);
  const Path file = home_ / "mine.gguf";
  ASSERT_TRUE(write_file_atomically(file, "12345").is_ok());
  auto found = hub.find(file.string());
  ASSERT_TRUE(found.is_ok());
  EXPECT_EQ(found->path, file);
  EXPECT_EQ(found->bytes, 5u);
  EXPECT_EQ(hub.find((home_ / "none.gguf").string()).status().code(), Code::kNotFound);
  EXPECT_EQ(hub.remove(file.string()).code(), Code::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::exists(file));
  auto missing = hub.find("QWEN3");
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find("yunqi pull qwen3:0.6b"), std::string::npos);
  ASSERT_TRUE(install("qwen3:0.6b", "content").is_ok());
  EXPECT_EQ(hub.find("qwen3")->name, "qwen3:0.6b");
  // Installed, but no longer in any catalogue.
  ASSERT_TRUE(install("gone:1b", "content").is_ok());
  EXPECT_TRUE(hub.find("gone:1b").is_ok());
  EXPECT_TRUE(hub.remove("gone:1b").is_ok());
}

}  // namespace
}  // namespace yunqi
